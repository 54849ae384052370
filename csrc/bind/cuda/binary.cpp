#include "binary/binary.h"

#include <pybind11/stl.h>

#include "binary/named.h"
#include "bind/cuda/pointers.h"

namespace fastconv::bind {

void register_cuda_binary(py::module_& m) {
  m.def(
      "binary_forward",
      [](Address a, Address b, Address y, const std::string& function, const std::vector<int64_t>& extents,
         Address stream) {
        cuda::binary_forward(at<const float>(a), at<const float>(b), at<float>(y), binary_named(function),
                             extents_of(extents), stream_at(stream));
      },
      py::arg("a"), py::arg("b"), py::arg("y"), py::arg("function"), py::arg("extents"), py::arg("stream"));
  m.def(
      "binary_backward",
      [](Address dy, Address a, Address b, Address da, Address db, const std::string& function,
         const std::vector<int64_t>& extents, Address stream) {
        cuda::binary_backward(at<const float>(dy), at<const float>(a), at<const float>(b), at<float>(da), at<float>(db),
                              binary_named(function), extents_of(extents), stream_at(stream));
      },
      py::arg("dy"), py::arg("a"), py::arg("b"), py::arg("da"), py::arg("db"), py::arg("function"), py::arg("extents"),
      py::arg("stream"));
}

}  // namespace fastconv::bind
