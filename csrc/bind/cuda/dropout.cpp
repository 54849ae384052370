#include "dropout/dropout.h"

#include "bind/cuda/pointers.h"

namespace fastconv::bind {

void register_cuda_dropout(py::module_& m) {
  m.def(
      "dropout_forward",
      [](Address x, Address seed, Address step, Address y, double rate, int64_t stream, int64_t count,
         const std::string& dtype, Address cuda_stream) {
        with_activations(dtype, [&](auto activations) {
          cuda::dropout_forward(activations.in(x), at<const int64_t>(seed), at<const int64_t>(step), activations.out(y),
                                rate, stream, count, stream_at(cuda_stream));
        });
      },
      py::arg("x"), py::arg("seed"), py::arg("step"), py::arg("y"), py::arg("rate"), py::arg("stream"),
      py::arg("count"), py::arg("dtype"), py::arg("cuda_stream"));
}

}  // namespace fastconv::bind
