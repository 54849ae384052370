#include "elementwise/elementwise.h"

#include "bind/cuda/pointers.h"

namespace fastconv::bind {

void register_cuda_elementwise(py::module_& m) {
  m.def(
      "add_forward",
      [](Address a, Address b, Address y, int64_t count, Address stream) {
        cuda::add_forward(at<const float>(a), at<const float>(b), at<float>(y), count, stream_at(stream));
      },
      py::arg("a"), py::arg("b"), py::arg("y"), py::arg("count"), py::arg("stream"));
  m.def(
      "first_non_finite",
      [](Address x, Address first, int64_t count, Address stream) {
        cuda::first_non_finite(at<const float>(x), at<int64_t>(first), count, stream_at(stream));
      },
      py::arg("x"), py::arg("first"), py::arg("count"), py::arg("stream"));
}

}  // namespace fastconv::bind
