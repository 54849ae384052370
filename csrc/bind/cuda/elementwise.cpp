#include "elementwise/elementwise.h"

#include <type_traits>

#include "bind/cuda/pointers.h"

namespace fastconv::bind {

void register_cuda_elementwise(py::module_& m) {
  m.def(
      "add_forward",
      [](Address a, Address b, Address y, int64_t count, const std::string& dtype, Address stream) {
        with_activations(dtype, [&](auto activations) {
          cuda::add_forward(activations.in(a), activations.in(b), activations.out(y), count, stream_at(stream));
        });
      },
      py::arg("a"), py::arg("b"), py::arg("y"), py::arg("count"), py::arg("dtype"), py::arg("stream"));
  // to `dtype`, from the other
  m.def(
      "cast",
      [](Address x, Address y, int64_t count, const std::string& dtype, Address stream) {
        with_activations(dtype, [&](auto to) {
          using To = typename decltype(to)::Number;
          using From = std::conditional_t<std::is_same_v<To, float>, cuda::BFloat16, float>;
          cuda::cast(at<const From>(x), to.out(y), count, stream_at(stream));
        });
      },
      py::arg("x"), py::arg("y"), py::arg("count"), py::arg("dtype"), py::arg("stream"));
  m.def(
      "first_non_finite",
      [](Address x, Address first, int64_t count, Address stream) {
        cuda::first_non_finite(at<const float>(x), at<int64_t>(first), count, stream_at(stream));
      },
      py::arg("x"), py::arg("first"), py::arg("count"), py::arg("stream"));
}

}  // namespace fastconv::bind
