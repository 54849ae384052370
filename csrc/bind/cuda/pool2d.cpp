#include "pool2d/pool2d.h"

#include "bind/cuda/pointers.h"
#include "bind/geometry.h"

namespace fastconv::bind {

void register_cuda_pool2d(py::module_& m) {
  m.def(
      "maxpool2d_forward",
      [](const py::tuple& geometry, Address x, Address y, Address index, Address stream) {
        cuda::maxpool2d_forward(pool_geometry_of(geometry), at<const float>(x), at<float>(y), at<float>(index),
                                stream_at(stream));
      },
      py::arg("geometry"), py::arg("x"), py::arg("y"), py::arg("index"), py::arg("stream"));
  m.def(
      "maxpool2d_backward",
      [](const py::tuple& geometry, Address dy, Address index, Address dx, Address stream) {
        cuda::maxpool2d_backward(pool_geometry_of(geometry), at<const float>(dy), at<const float>(index), at<float>(dx),
                                 stream_at(stream));
      },
      py::arg("geometry"), py::arg("dy"), py::arg("index"), py::arg("dx"), py::arg("stream"));
  m.def(
      "avgpool2d_forward",
      [](const py::tuple& geometry, Address x, Address y, bool mean, Address stream) {
        cuda::avgpool2d_forward(pool_geometry_of(geometry), at<const float>(x), at<float>(y), mean, stream_at(stream));
      },
      py::arg("geometry"), py::arg("x"), py::arg("y"), py::arg("mean"), py::arg("stream"));
  m.def(
      "avgpool2d_backward",
      [](const py::tuple& geometry, Address dy, Address dx, bool mean, Address stream) {
        cuda::avgpool2d_backward(pool_geometry_of(geometry), at<const float>(dy), at<float>(dx), mean,
                                 stream_at(stream));
      },
      py::arg("geometry"), py::arg("dy"), py::arg("dx"), py::arg("mean"), py::arg("stream"));
}

}  // namespace fastconv::bind
