#include "batchnorm/batchnorm.h"

#include "bind/checks.h"

namespace fastconv::bind {
namespace {

// Any rank: the last axis holds the channels, all others are rows.
struct Shape {
  int64_t rows, channels, count;

  explicit Shape(const py::array& x) {
    if (x.ndim() == 0 || x.size() == 0)
      throw py::value_error("x: expected at least one element, channels last. Received: shape " +
                            std::string(py::str(x.attr("shape"))));
    count = x.size();
    channels = x.shape(x.ndim() - 1);
    rows = count / channels;
  }
};

}  // namespace

void register_batchnorm(py::module_& m) {
  m.def(
      "batchnorm_forward",
      [](const py::array& x, const py::object& gamma, const py::object& beta, const py::array& y, const py::array& mean,
         const py::array& rstd, const py::array& moving_mean, const py::array& moving_variance, double momentum,
         double epsilon, float slope, const py::object& workspace) {
        const Shape shape(x);
        const int64_t channels = shape.channels;
        const float* x_data = input<float>(x, "x", shape.count);
        const float* gamma_data = optional_input<float>(gamma, "gamma", channels);
        const float* beta_data = optional_input<float>(beta, "beta", channels);
        float* y_data = output<float>(y, "y", shape.count);
        float* mean_data = output<float>(mean, "mean", channels);
        float* rstd_data = output<float>(rstd, "rstd", channels);
        float* moving_mean_data = output<float>(moving_mean, "moving_mean", channels);
        float* moving_variance_data = output<float>(moving_variance, "moving_variance", channels);
        const Workspace work(workspace);
        const py::gil_scoped_release unlock;
        batchnorm_forward(shape.rows, channels, x_data, gamma_data, beta_data, y_data,
                          {mean_data, rstd_data, moving_mean_data, moving_variance_data, momentum, epsilon}, slope,
                          work.data, work.bytes);
      },
      py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("y"), py::arg("mean"), py::arg("rstd"),
      py::arg("moving_mean"), py::arg("moving_variance"), py::arg("momentum"), py::arg("epsilon"), py::arg("slope"),
      py::arg("workspace"));
  m.def(
      "batchnorm_apply",
      [](const py::array& x, const py::object& gamma, const py::object& beta, const py::array& mean,
         const py::array& rstd, const py::array& y, float slope) {
        const Shape shape(x);
        const int64_t channels = shape.channels;
        const float* x_data = input<float>(x, "x", shape.count);
        const float* gamma_data = optional_input<float>(gamma, "gamma", channels);
        const float* beta_data = optional_input<float>(beta, "beta", channels);
        const float* mean_data = input<float>(mean, "mean", channels);
        const float* rstd_data = input<float>(rstd, "rstd", channels);
        float* y_data = output<float>(y, "y", shape.count);
        const py::gil_scoped_release unlock;
        batchnorm_apply(shape.rows, channels, x_data, mean_data, rstd_data, gamma_data, beta_data, y_data, slope);
      },
      py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("mean"), py::arg("rstd"), py::arg("y"),
      py::arg("slope"));
  m.def(
      "batchnorm_inference",
      [](const py::array& x, const py::object& gamma, const py::object& beta, const py::array& moving_mean,
         const py::array& moving_variance, const py::array& y, double epsilon, float slope) {
        const Shape shape(x);
        const int64_t channels = shape.channels;
        const float* x_data = input<float>(x, "x", shape.count);
        const float* gamma_data = optional_input<float>(gamma, "gamma", channels);
        const float* beta_data = optional_input<float>(beta, "beta", channels);
        const float* mean_data = input<float>(moving_mean, "moving_mean", channels);
        const float* variance_data = input<float>(moving_variance, "moving_variance", channels);
        float* y_data = output<float>(y, "y", shape.count);
        const py::gil_scoped_release unlock;
        batchnorm_inference(shape.rows, channels, x_data, gamma_data, beta_data, mean_data, variance_data, y_data,
                            epsilon, slope);
      },
      py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("moving_mean"), py::arg("moving_variance"), py::arg("y"),
      py::arg("epsilon"), py::arg("slope"));
  m.def(
      "batchnorm_backward",
      [](const py::array& dy, const py::array& x, const py::object& gamma, const py::object& beta,
         const py::array& mean, const py::array& rstd, const py::object& dx, const py::object& dgamma,
         const py::object& dbeta, const py::array& coefficients, float slope, const py::object& workspace) {
        const Shape shape(x);
        const int64_t channels = shape.channels;
        const float* dy_data = input<float>(dy, "dy", shape.count);
        const float* x_data = input<float>(x, "x", shape.count);
        const float* gamma_data = optional_input<float>(gamma, "gamma", channels);
        const float* beta_data = optional_input<float>(beta, "beta", channels);
        const float* mean_data = input<float>(mean, "mean", channels);
        const float* rstd_data = input<float>(rstd, "rstd", channels);
        float* dx_data = optional_output<float>(dx, "dx", shape.count);
        float* dgamma_data = optional_output<float>(dgamma, "dgamma", channels);
        float* dbeta_data = optional_output<float>(dbeta, "dbeta", channels);
        float* slope_x = output<float>(coefficients, "coefficients", 2 * channels);
        const Workspace work(workspace);
        const py::gil_scoped_release unlock;
        batchnorm_backward(shape.rows, channels, dy_data, x_data, gamma_data, beta_data, mean_data, rstd_data, dx_data,
                           {dgamma_data, dbeta_data, slope_x, slope_x + channels}, slope, work.data, work.bytes);
      },
      py::arg("dy"), py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("mean"), py::arg("rstd"), py::arg("dx"),
      py::arg("dgamma"), py::arg("dbeta"), py::arg("coefficients"), py::arg("slope"), py::arg("workspace"));
  m.def("batchnorm_forward_workspace_bytes", &batchnorm_forward_workspace_bytes, py::arg("rows"), py::arg("channels"));
  m.def("batchnorm_backward_workspace_bytes", &batchnorm_backward_workspace_bytes, py::arg("rows"),
        py::arg("channels"));
}

}  // namespace fastconv::bind
