#include "activation/activation.h"

#include <pybind11/stl.h>

#include "activation/named.h"
#include "bind/cuda/pointers.h"

namespace fastconv::bind {

void register_cuda_activation(py::module_& m) {
  m.def(
      "activation_forward",
      [](Address x, Address y, const std::string& function, const std::vector<float>& parameters, int64_t count,
         Address stream) {
        cuda::activation_forward(at<const float>(x), at<float>(y), activation_named(function, parameters), count,
                                 stream_at(stream));
      },
      py::arg("x"), py::arg("y"), py::arg("function"), py::arg("parameters"), py::arg("count"), py::arg("stream"));
  m.def(
      "activation_backward",
      [](Address dy, Address x, Address dx, const std::string& function, const std::vector<float>& parameters,
         int64_t count, Address stream) {
        cuda::activation_backward(at<const float>(dy), at<const float>(x), at<float>(dx),
                                  activation_named(function, parameters), count, stream_at(stream));
      },
      py::arg("dy"), py::arg("x"), py::arg("dx"), py::arg("function"), py::arg("parameters"), py::arg("count"),
      py::arg("stream"));
}

}  // namespace fastconv::bind
