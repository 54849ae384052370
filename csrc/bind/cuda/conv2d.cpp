#include "conv2d/conv2d.h"

#include "bind/cuda/pointers.h"
#include "bind/geometry.h"

namespace fastconv::bind {
namespace {

cuda::Precision precision_of(const std::string& name) {
  if (name == "highest") return cuda::Precision::highest;
  if (name == "high") return cuda::Precision::high;
  throw py::value_error("precision: expected \"highest\" or \"high\". Received: " + name);
}

// A batch normalization beside a convolution: there is none where `mean` is 0.
BatchNormTransform transform_of(Address mean, Address rstd, Address gamma, Address beta, float slope) {
  return {
      at<const float>(mean), at<const float>(rstd), nullptr, at<const float>(gamma), at<const float>(beta), 0.0, slope};
}

const BatchNormTransform* given(const BatchNormTransform& t) { return t.mean ? &t : nullptr; }

template <typename Number>
Conv2DInputOf<Number> input_of(const Number* data, const BatchNormTransform& norm) {
  return {data, given(norm)};
}

// A batch normalization's slope_x and offset, one after the other.
BatchNormGradients gradients_of(Address dgamma, Address dbeta, Address coefficients, int64_t channels) {
  return {at<float>(dgamma), at<float>(dbeta), at<float>(coefficients), at<float>(coefficients) + channels};
}

}  // namespace

void register_cuda_conv2d(py::module_& m) {
  m.def(
      "conv2d_fprop",
      [](const py::tuple& geometry, Address x, Address w, Address b, Address y, Address workspace, Address x_mean,
         Address x_rstd, Address x_gamma, Address x_beta, float x_slope, Address mean, Address rstd,
         Address moving_mean, Address moving_variance, double momentum, double epsilon, const std::string& precision,
         const std::string& dtype, Address stream) {
        with_activations(dtype, [&](auto activations) {
          const BatchNormTransform norm = transform_of(x_mean, x_rstd, x_gamma, x_beta, x_slope);
          const BatchNormStatistics statistics = {
              at<float>(mean), at<float>(rstd), at<float>(moving_mean), at<float>(moving_variance), momentum, epsilon};
          cuda::conv2d_fprop(geometry_of(geometry), input_of(activations.in(x), norm), at<const float>(w),
                             at<const float>(b), activations.out(y), mean ? &statistics : nullptr,
                             precision_of(precision), at<float>(workspace), stream_at(stream));
        });
      },
      py::arg("geometry"), py::arg("x"), py::arg("w"), py::arg("b"), py::arg("y"), py::arg("workspace"),
      py::arg("x_mean"), py::arg("x_rstd"), py::arg("x_gamma"), py::arg("x_beta"), py::arg("x_slope"), py::arg("mean"),
      py::arg("rstd"), py::arg("moving_mean"), py::arg("moving_variance"), py::arg("momentum"), py::arg("epsilon"),
      py::arg("precision"), py::arg("dtype"), py::arg("stream"));
  m.def(
      "conv2d_dgrad",
      [](const py::tuple& geometry, Address dy, Address w, Address dx, Address workspace, const std::string& precision,
         const std::string& dtype, Address stream) {
        with_activations(dtype, [&](auto activations) {
          cuda::conv2d_dgrad(geometry_of(geometry), activations.in(dy), at<const float>(w), activations.out(dx),
                             precision_of(precision), at<float>(workspace), stream_at(stream));
        });
      },
      py::arg("geometry"), py::arg("dy"), py::arg("w"), py::arg("dx"), py::arg("workspace"), py::arg("precision"),
      py::arg("dtype"), py::arg("stream"));
  m.def(
      "conv2d_wgrad",
      [](const py::tuple& geometry, Address x, Address dy, Address dw, Address db, Address workspace, Address x_mean,
         Address x_rstd, Address x_gamma, Address x_beta, float x_slope, const std::string& precision,
         const std::string& dtype, Address stream) {
        with_activations(dtype, [&](auto activations) {
          const BatchNormTransform norm = transform_of(x_mean, x_rstd, x_gamma, x_beta, x_slope);
          cuda::conv2d_wgrad(geometry_of(geometry), input_of(activations.in(x), norm), activations.in(dy),
                             at<float>(dw), at<float>(db), precision_of(precision), at<float>(workspace),
                             stream_at(stream));
        });
      },
      py::arg("geometry"), py::arg("x"), py::arg("dy"), py::arg("dw"), py::arg("db"), py::arg("workspace"),
      py::arg("x_mean"), py::arg("x_rstd"), py::arg("x_gamma"), py::arg("x_beta"), py::arg("x_slope"),
      py::arg("precision"), py::arg("dtype"), py::arg("stream"));
  m.def(
      "conv2d_backward",
      [](const py::tuple& geometry, Address x, Address dy, Address w, Address dx, Address dw, Address db,
         Address workspace, Address x_mean, Address x_rstd, Address x_gamma, Address x_beta, float x_slope,
         Address x_dgamma, Address x_dbeta, Address x_coefficients, Address y, Address y_mean, Address y_rstd,
         Address y_gamma, Address y_beta, float y_slope, Address y_coefficients, const py::object& x_geometry,
         Address x_input, Address x_dw, const std::string& precision, const std::string& dtype, Address stream) {
        with_activations(dtype, [&](auto activations) {
          const Conv2DGeometry g = geometry_of(geometry);
          const BatchNormTransform x_norm = transform_of(x_mean, x_rstd, x_gamma, x_beta, x_slope);
          const BatchNormTransform y_norm = transform_of(y_mean, y_rstd, y_gamma, y_beta, y_slope);
          const BatchNormGradients x_gradients = gradients_of(x_dgamma, x_dbeta, x_coefficients, g.c);
          const BatchNormGradients y_gradients = gradients_of(0, 0, y_coefficients, g.k);
          Conv2DBackwardOf<typename decltype(activations)::Number> arguments = {};
          arguments.x = input_of(activations.in(x), x_norm);
          arguments.dy = activations.in(dy);
          arguments.y = activations.in(y);
          arguments.y_norm = given(y_norm);
          arguments.y_gradients = y_coefficients ? &y_gradients : nullptr;
          arguments.w = at<const float>(w);
          arguments.dx = activations.out(dx);
          arguments.dw = at<float>(dw);
          arguments.db = at<float>(db);
          arguments.x_gradients = x_coefficients ? &x_gradients : nullptr;
          const std::optional<Conv2DGeometry> before = optional_geometry(x_geometry);
          const Conv2DSource source = {before.value_or(Conv2DGeometry{}), at<const float>(x_input), nullptr,
                                       at<float>(x_dw)};
          arguments.x_source = before ? &source : nullptr;
          cuda::conv2d_backward(g, arguments, precision_of(precision), at<float>(workspace), stream_at(stream));
        });
      },
      py::arg("geometry"), py::arg("x"), py::arg("dy"), py::arg("w"), py::arg("dx"), py::arg("dw"), py::arg("db"),
      py::arg("workspace"), py::arg("x_mean"), py::arg("x_rstd"), py::arg("x_gamma"), py::arg("x_beta"),
      py::arg("x_slope"), py::arg("x_dgamma"), py::arg("x_dbeta"), py::arg("x_coefficients"), py::arg("y"),
      py::arg("y_mean"), py::arg("y_rstd"), py::arg("y_gamma"), py::arg("y_beta"), py::arg("y_slope"),
      py::arg("y_coefficients"), py::arg("x_geometry"), py::arg("x_input"), py::arg("x_dw"), py::arg("precision"),
      py::arg("dtype"), py::arg("stream"));

  m.def(
      "conv2d_fprop_workspace_bytes",
      [](const py::tuple& geometry, bool statistics) {
        return cuda::conv2d_fprop_workspace_bytes(geometry_of(geometry), statistics);
      },
      py::arg("geometry"), py::arg("statistics"));
  m.def(
      "conv2d_dgrad_workspace_bytes",
      [](const py::tuple& geometry) { return cuda::conv2d_dgrad_workspace_bytes(geometry_of(geometry)); },
      py::arg("geometry"));
  m.def(
      "conv2d_wgrad_workspace_bytes",
      [](const py::tuple& geometry) { return cuda::conv2d_wgrad_workspace_bytes(geometry_of(geometry)); },
      py::arg("geometry"));
  m.def(
      "conv2d_backward_workspace_bytes",
      [](const py::tuple& geometry, bool dx, bool x_gradients, const py::object& x_geometry) {
        const std::optional<Conv2DGeometry> source = optional_geometry(x_geometry);
        return cuda::conv2d_backward_workspace_bytes(geometry_of(geometry), dx, x_gradients,
                                                     source ? &*source : nullptr);
      },
      py::arg("geometry"), py::arg("dx"), py::arg("x_gradients"), py::arg("x_geometry"));
  m.def(
      "conv2d_backward_is_joint",
      [](const py::tuple& geometry, const py::object& x_geometry) {
        const std::optional<Conv2DGeometry> source = optional_geometry(x_geometry);
        return cuda::conv2d_backward_is_joint(geometry_of(geometry), source ? &*source : nullptr);
      },
      py::arg("geometry"), py::arg("x_geometry"));
}

}  // namespace fastconv::bind
