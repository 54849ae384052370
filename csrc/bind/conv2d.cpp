#include "conv2d/conv2d.h"

#include "bind/checks.h"
#include "bind/geometry.h"
#include "common/parallel.h"

namespace fastconv::bind {
namespace {

std::string shape_text(int64_t n, int64_t h, int64_t w, int64_t c) {
  return std::to_string(n) + "x" + std::to_string(h) + "x" + std::to_string(w) + "x" + std::to_string(c);
}

int64_t x_size(const Conv2DGeometry& g) { return g.n * g.h * g.w * g.c; }
int64_t w_size(const Conv2DGeometry& g) { return g.r * g.s * g.c * g.k; }
int64_t y_size(const Conv2DGeometry& g) { return g.n * g.p * g.q * g.k; }

// The convolution that made x, or one without dw where `dw` is None.
Conv2DSource source_of(const Conv2DGeometry& g, const py::object& geometry, const py::object& x, const py::object& w,
                       const py::object& dw) {
  if (dw.is_none()) return {};
  if (geometry.is_none() || x.is_none() || w.is_none())
    throw py::value_error("x_dw: expected with x_geometry, x_input and x_w. Received: one is None");
  const Conv2DGeometry source = geometry_of(geometry);
  if (source.n != g.n || source.p != g.h || source.q != g.w || source.k != g.c)
    throw py::value_error("x_geometry: expected outputs of the shape of x, " + shape_text(g.n, g.h, g.w, g.c) +
                          ". Received: " + shape_text(source.n, source.p, source.q, source.k));
  return {source, optional_input<float>(x, "x_input", x_size(source)), optional_input<float>(w, "x_w", w_size(source)),
          optional_output<float>(dw, "x_dw", w_size(source))};
}

// The batch normalization of an array, or none where `mean` is None.
struct Norm {
  BatchNormTransform transform;
  bool given;

  Norm(const py::object& mean, const py::object& rstd, const py::object& gamma, const py::object& beta, float slope,
       int64_t channels)
      : transform{optional_input<float>(mean, "mean", channels),
                  optional_input<float>(rstd, "rstd", channels),
                  nullptr,
                  optional_input<float>(gamma, "gamma", channels),
                  optional_input<float>(beta, "beta", channels),
                  0.0,
                  slope},
        given(transform.mean) {
    if (given && !transform.rstd) throw py::value_error("rstd: expected an array beside mean. Received: None");
  }

  const BatchNormTransform* get() const { return given ? &transform : nullptr; }
};

// A batch normalization's slope_x and offset, one after the other.
BatchNormGradients gradients_of(float* dgamma, float* dbeta, float* coefficients, int64_t channels) {
  return {dgamma, dbeta, coefficients, coefficients ? coefficients + channels : nullptr};
}

}  // namespace

void register_conv2d(py::module_& m) {
  const py::none none;
  m.def(
      "conv2d_fprop",
      [](const py::tuple& geometry, const py::array& x, const py::array& w, const py::object& b, const py::array& y,
         const py::object& workspace, const py::object& x_mean, const py::object& x_rstd, const py::object& x_gamma,
         const py::object& x_beta, float x_slope, const py::object& mean, const py::object& rstd,
         const py::object& moving_mean, const py::object& moving_variance, double momentum, double epsilon) {
        const Conv2DGeometry g = geometry_of(geometry);
        const float* x_data = input<float>(x, "x", x_size(g));
        const float* w_data = input<float>(w, "w", w_size(g));
        const float* b_data = optional_input<float>(b, "b", g.k);
        float* y_data = output<float>(y, "y", y_size(g));
        const Norm norm(x_mean, x_rstd, x_gamma, x_beta, x_slope, g.c);
        const BatchNormStatistics statistics = {optional_output<float>(mean, "mean", g.k),
                                                optional_output<float>(rstd, "rstd", g.k),
                                                optional_output<float>(moving_mean, "moving_mean", g.k),
                                                optional_output<float>(moving_variance, "moving_variance", g.k),
                                                momentum,
                                                epsilon};
        if (statistics.mean && !(statistics.rstd && statistics.moving_mean && statistics.moving_variance))
          throw py::value_error("mean: expected with rstd, moving_mean and moving_variance. Received: one is None");
        const Workspace work(workspace);
        const py::gil_scoped_release unlock;
        conv2d_fprop(g, {x_data, norm.get()}, w_data, b_data, y_data, statistics.mean ? &statistics : nullptr,
                     work.data, work.bytes);
      },
      py::arg("geometry"), py::arg("x"), py::arg("w"), py::arg("b"), py::arg("y"), py::arg("workspace"),
      py::arg("x_mean") = none, py::arg("x_rstd") = none, py::arg("x_gamma") = none, py::arg("x_beta") = none,
      py::arg("x_slope") = 1.0f, py::arg("mean") = none, py::arg("rstd") = none, py::arg("moving_mean") = none,
      py::arg("moving_variance") = none, py::arg("momentum") = 0.99, py::arg("epsilon") = 1e-3);
  m.def(
      "conv2d_dgrad",
      [](const py::tuple& geometry, const py::array& dy, const py::array& w, const py::array& dx,
         const py::object& workspace) {
        const Conv2DGeometry g = geometry_of(geometry);
        const float* dy_data = input<float>(dy, "dy", y_size(g));
        const float* w_data = input<float>(w, "w", w_size(g));
        float* dx_data = output<float>(dx, "dx", x_size(g));
        const Workspace work(workspace);
        const py::gil_scoped_release unlock;
        conv2d_dgrad(g, dy_data, w_data, dx_data, work.data, work.bytes);
      },
      py::arg("geometry"), py::arg("dy"), py::arg("w"), py::arg("dx"), py::arg("workspace"));
  m.def(
      "conv2d_wgrad",
      [](const py::tuple& geometry, const py::array& x, const py::array& dy, const py::array& dw, const py::object& db,
         const py::object& workspace, const py::object& x_mean, const py::object& x_rstd, const py::object& x_gamma,
         const py::object& x_beta, float x_slope) {
        const Conv2DGeometry g = geometry_of(geometry);
        const float* x_data = input<float>(x, "x", x_size(g));
        const float* dy_data = input<float>(dy, "dy", y_size(g));
        float* dw_data = output<float>(dw, "dw", w_size(g));
        float* db_data = optional_output<float>(db, "db", g.k);
        const Norm norm(x_mean, x_rstd, x_gamma, x_beta, x_slope, g.c);
        const Workspace work(workspace);
        const py::gil_scoped_release unlock;
        conv2d_wgrad(g, {x_data, norm.get()}, dy_data, dw_data, db_data, work.data, work.bytes);
      },
      py::arg("geometry"), py::arg("x"), py::arg("dy"), py::arg("dw"), py::arg("db"), py::arg("workspace"),
      py::arg("x_mean") = none, py::arg("x_rstd") = none, py::arg("x_gamma") = none, py::arg("x_beta") = none,
      py::arg("x_slope") = 1.0f);
  m.def(
      "conv2d_backward",
      [](const py::tuple& geometry, const py::array& x, const py::array& dy, const py::object& w, const py::object& dx,
         const py::array& dw, const py::object& db, const py::object& workspace, const py::object& x_mean,
         const py::object& x_rstd, const py::object& x_gamma, const py::object& x_beta, float x_slope,
         const py::object& x_dgamma, const py::object& x_dbeta, const py::object& x_coefficients, const py::object& y,
         const py::object& y_mean, const py::object& y_rstd, const py::object& y_gamma, const py::object& y_beta,
         float y_slope, const py::object& y_coefficients, const py::object& x_geometry, const py::object& x_input,
         const py::object& x_w, const py::object& x_dw) {
        const Conv2DGeometry g = geometry_of(geometry);
        const Norm x_norm(x_mean, x_rstd, x_gamma, x_beta, x_slope, g.c);
        const Norm y_norm(y_mean, y_rstd, y_gamma, y_beta, y_slope, g.k);
        const BatchNormGradients x_gradients = gradients_of(
            optional_output<float>(x_dgamma, "x_dgamma", g.c), optional_output<float>(x_dbeta, "x_dbeta", g.c),
            optional_output<float>(x_coefficients, "x_coefficients", 2 * g.c), g.c);
        const BatchNormGradients y_gradients =
            gradients_of(nullptr, nullptr,
                         const_cast<float*>(optional_input<float>(y_coefficients, "y_coefficients", 2 * g.k)), g.k);
        Conv2DBackward arguments = {};
        arguments.x = {input<float>(x, "x", x_size(g)), x_norm.get()};
        arguments.dy = input<float>(dy, "dy", y_size(g));
        arguments.y = optional_input<float>(y, "y", y_size(g));
        arguments.y_norm = y_norm.get();
        arguments.y_gradients = y_gradients.slope_x ? &y_gradients : nullptr;
        arguments.w = optional_input<float>(w, "w", w_size(g));
        arguments.dx = optional_output<float>(dx, "dx", x_size(g));
        arguments.dw = output<float>(dw, "dw", w_size(g));
        arguments.db = optional_output<float>(db, "db", g.k);
        arguments.x_gradients = x_gradients.slope_x ? &x_gradients : nullptr;
        const Conv2DSource x_source = source_of(g, x_geometry, x_input, x_w, x_dw);
        arguments.x_source = x_source.dw ? &x_source : nullptr;
        if (arguments.dx && !arguments.w) throw py::value_error("w: expected an array beside dx. Received: None");
        if (arguments.y_norm && !(arguments.y && arguments.y_gradients))
          throw py::value_error("y_mean: expected with y and y_coefficients. Received: one is None");
        if (arguments.x_gradients && !((arguments.dx || arguments.x_source) && arguments.x.norm))
          throw py::value_error("x_coefficients: expected with x_mean, and with dx or x_dw. Received: one is None");
        if (arguments.x_source && !(arguments.w && arguments.x_gradients))
          throw py::value_error("x_dw: expected with w and x_coefficients. Received: one is None");
        if (arguments.x_source && arguments.dx)
          throw py::value_error("dx: expected None beside x_dw. Received: an array");
        const Workspace work(workspace);
        const py::gil_scoped_release unlock;
        conv2d_backward(g, arguments, work.data, work.bytes);
      },
      py::arg("geometry"), py::arg("x"), py::arg("dy"), py::arg("w"), py::arg("dx"), py::arg("dw"), py::arg("db"),
      py::arg("workspace"), py::arg("x_mean") = none, py::arg("x_rstd") = none, py::arg("x_gamma") = none,
      py::arg("x_beta") = none, py::arg("x_slope") = 1.0f, py::arg("x_dgamma") = none, py::arg("x_dbeta") = none,
      py::arg("x_coefficients") = none, py::arg("y") = none, py::arg("y_mean") = none, py::arg("y_rstd") = none,
      py::arg("y_gamma") = none, py::arg("y_beta") = none, py::arg("y_slope") = 1.0f, py::arg("y_coefficients") = none,
      py::arg("x_geometry") = none, py::arg("x_input") = none, py::arg("x_w") = none, py::arg("x_dw") = none);
  m.def("conv2d_allow_winograd", conv2d_allow_winograd, py::arg("allow"));
  m.def("conv2d_allows_winograd", conv2d_allows_winograd);
  m.def(
      "conv2d_backward_fits",
      [](const py::tuple& geometry, const py::object& x_geometry) {
        const std::optional<Conv2DGeometry> source = optional_geometry(x_geometry);
        return conv2d_backward_fits(geometry_of(geometry), source ? &*source : nullptr);
      },
      py::arg("geometry"), py::arg("x_geometry") = none);

  m.def(
      "conv2d_fprop_workspace_bytes",
      [](const py::tuple& geometry, bool norm, bool statistics) {
        return conv2d_fprop_workspace_bytes(geometry_of(geometry), norm, statistics, num_threads());
      },
      py::arg("geometry"), py::arg("norm") = false, py::arg("statistics") = false);
  m.def(
      "conv2d_dgrad_workspace_bytes",
      [](const py::tuple& geometry) { return conv2d_dgrad_workspace_bytes(geometry_of(geometry), num_threads()); },
      py::arg("geometry"));
  m.def(
      "conv2d_wgrad_workspace_bytes",
      [](const py::tuple& geometry, bool norm) {
        return conv2d_wgrad_workspace_bytes(geometry_of(geometry), norm, num_threads());
      },
      py::arg("geometry"), py::arg("norm") = false);
  m.def(
      "conv2d_backward_workspace_bytes",
      [](const py::tuple& geometry, bool y_norm, bool x_norm, bool dx, const py::object& x_geometry) {
        const std::optional<Conv2DGeometry> source = optional_geometry(x_geometry);
        return conv2d_backward_workspace_bytes(geometry_of(geometry), y_norm, x_norm, dx, source ? &*source : nullptr,
                                               num_threads());
      },
      py::arg("geometry"), py::arg("y_norm"), py::arg("x_norm"), py::arg("dx"), py::arg("x_geometry"));
}

}  // namespace fastconv::bind
