#include "depthwise_conv2d/depthwise_conv2d.h"

#include "bind/cuda/pointers.h"
#include "bind/geometry.h"

namespace fastconv::bind {

void register_cuda_depthwise_conv2d(py::module_& m) {
  m.def(
      "depthwise_conv2d_fprop",
      [](const py::tuple& geometry, Address x, Address w, Address b, Address y, Address stream) {
        cuda::depthwise_conv2d_fprop(depthwise_geometry_of(geometry), at<const float>(x), at<const float>(w),
                                     at<const float>(b), at<float>(y), stream_at(stream));
      },
      py::arg("geometry"), py::arg("x"), py::arg("w"), py::arg("b"), py::arg("y"), py::arg("stream"));
  m.def(
      "depthwise_conv2d_dgrad",
      [](const py::tuple& geometry, Address dy, Address w, Address dx, Address stream) {
        cuda::depthwise_conv2d_dgrad(depthwise_geometry_of(geometry), at<const float>(dy), at<const float>(w),
                                     at<float>(dx), stream_at(stream));
      },
      py::arg("geometry"), py::arg("dy"), py::arg("w"), py::arg("dx"), py::arg("stream"));
  m.def(
      "depthwise_conv2d_wgrad",
      [](const py::tuple& geometry, Address x, Address dy, Address dw, Address workspace, Address stream) {
        cuda::depthwise_conv2d_wgrad(depthwise_geometry_of(geometry), at<const float>(x), at<const float>(dy),
                                     at<float>(dw), at<float>(workspace), stream_at(stream));
      },
      py::arg("geometry"), py::arg("x"), py::arg("dy"), py::arg("dw"), py::arg("workspace"), py::arg("stream"));
  m.def(
      "depthwise_conv2d_wgrad_workspace_bytes",
      [](const py::tuple& geometry) {
        return cuda::depthwise_conv2d_wgrad_workspace_bytes(depthwise_geometry_of(geometry));
      },
      py::arg("geometry"));
}

}  // namespace fastconv::bind
