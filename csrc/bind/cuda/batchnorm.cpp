#include "batchnorm/batchnorm.h"

#include "bind/cuda/pointers.h"

namespace fastconv::bind {

void register_cuda_batchnorm(py::module_& m) {
  m.def("batchnorm_workspace_bytes", &cuda::batchnorm_workspace_bytes, py::arg("rows"), py::arg("channels"));
  m.def(
      "batchnorm_forward",
      [](int64_t rows, int64_t channels, Address x, Address gamma, Address beta, Address y, Address mean, Address rstd,
         Address moving_mean, Address moving_variance, double momentum, double epsilon, float slope, Address workspace,
         const std::string& dtype, Address stream) {
        with_activations(dtype, [&](auto activations) {
          cuda::batchnorm_forward(
              rows, channels, activations.in(x), at<const float>(gamma), at<const float>(beta), activations.out(y),
              {at<float>(mean), at<float>(rstd), at<float>(moving_mean), at<float>(moving_variance), momentum, epsilon},
              slope, at<float>(workspace), stream_at(stream));
        });
      },
      py::arg("rows"), py::arg("channels"), py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("y"),
      py::arg("mean"), py::arg("rstd"), py::arg("moving_mean"), py::arg("moving_variance"), py::arg("momentum"),
      py::arg("epsilon"), py::arg("slope"), py::arg("workspace"), py::arg("dtype"), py::arg("stream"));
  m.def(
      "batchnorm_apply",
      [](int64_t rows, int64_t channels, Address x, Address gamma, Address beta, Address mean, Address rstd, Address y,
         float slope, const std::string& dtype, Address stream) {
        with_activations(dtype, [&](auto activations) {
          cuda::batchnorm_apply(rows, channels, activations.in(x), at<const float>(mean), at<const float>(rstd),
                                at<const float>(gamma), at<const float>(beta), activations.out(y), slope,
                                stream_at(stream));
        });
      },
      py::arg("rows"), py::arg("channels"), py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("mean"),
      py::arg("rstd"), py::arg("y"), py::arg("slope"), py::arg("dtype"), py::arg("stream"));
  m.def(
      "batchnorm_inference",
      [](int64_t rows, int64_t channels, Address x, Address gamma, Address beta, Address moving_mean,
         Address moving_variance, Address y, double epsilon, float slope, const std::string& dtype, Address stream) {
        with_activations(dtype, [&](auto activations) {
          cuda::batchnorm_inference(rows, channels, activations.in(x), at<const float>(gamma), at<const float>(beta),
                                    at<const float>(moving_mean), at<const float>(moving_variance), activations.out(y),
                                    epsilon, slope, stream_at(stream));
        });
      },
      py::arg("rows"), py::arg("channels"), py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("moving_mean"),
      py::arg("moving_variance"), py::arg("y"), py::arg("epsilon"), py::arg("slope"), py::arg("dtype"),
      py::arg("stream"));
  m.def(
      "batchnorm_backward",
      [](int64_t rows, int64_t channels, Address dy, Address x, Address gamma, Address beta, Address mean, Address rstd,
         Address dx, Address dgamma, Address dbeta, Address coefficients, float slope, Address workspace,
         const std::string& dtype, Address stream) {
        with_activations(dtype, [&](auto activations) {
          float* const slope_x = at<float>(coefficients);
          cuda::batchnorm_backward(rows, channels, activations.in(dy), activations.in(x), at<const float>(gamma),
                                   at<const float>(beta), at<const float>(mean), at<const float>(rstd),
                                   activations.out(dx),
                                   {at<float>(dgamma), at<float>(dbeta), slope_x, slope_x + channels}, slope,
                                   at<float>(workspace), stream_at(stream));
        });
      },
      py::arg("rows"), py::arg("channels"), py::arg("dy"), py::arg("x"), py::arg("gamma"), py::arg("beta"),
      py::arg("mean"), py::arg("rstd"), py::arg("dx"), py::arg("dgamma"), py::arg("dbeta"), py::arg("coefficients"),
      py::arg("slope"), py::arg("workspace"), py::arg("dtype"), py::arg("stream"));
}

}  // namespace fastconv::bind
