#include "leaky_relu/leaky_relu.h"

#include "bind/cuda/pointers.h"

namespace fastconv::bind {

void register_cuda_leaky_relu(py::module_& m) {
  m.def(
      "leaky_relu_forward",
      [](Address x, Address y, float slope, int64_t count, const std::string& dtype, Address stream) {
        with_activations(dtype, [&](auto activations) {
          cuda::leaky_relu_forward(activations.in(x), activations.out(y), slope, count, stream_at(stream));
        });
      },
      py::arg("x"), py::arg("y"), py::arg("slope"), py::arg("count"), py::arg("dtype"), py::arg("stream"));
  m.def(
      "leaky_relu_backward",
      [](Address dy, Address x, Address dx, float slope, int64_t count, const std::string& dtype, Address stream) {
        with_activations(dtype, [&](auto activations) {
          cuda::leaky_relu_backward(activations.in(dy), activations.in(x), activations.out(dx), slope, count,
                                    stream_at(stream));
        });
      },
      py::arg("dy"), py::arg("x"), py::arg("dx"), py::arg("slope"), py::arg("count"), py::arg("dtype"),
      py::arg("stream"));
}

}  // namespace fastconv::bind
