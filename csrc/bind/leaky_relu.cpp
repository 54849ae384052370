#include "leaky_relu/leaky_relu.h"

#include "bind/checks.h"

namespace fastconv::bind {

void register_leaky_relu(py::module_& m) {
  m.def(
      "leaky_relu_forward",
      [](const py::array& x, const py::array& y, float slope) {
        const float* from = input<float>(x, "x", x.size());
        float* to = output<float>(y, "y", x.size());
        const int64_t count = x.size();
        const py::gil_scoped_release unlock;
        leaky_relu_forward(from, to, slope, count);
      },
      py::arg("x"), py::arg("y"), py::arg("slope"));
  m.def(
      "leaky_relu_backward",
      [](const py::array& dy, const py::array& x, const py::array& dx, float slope) {
        const int64_t count = dy.size();
        const float* gradient = input<float>(dy, "dy", count);
        const float* from = input<float>(x, "x", count);
        float* to = output<float>(dx, "dx", count);
        const py::gil_scoped_release unlock;
        leaky_relu_backward(gradient, from, to, slope, count);
      },
      py::arg("dy"), py::arg("x"), py::arg("dx"), py::arg("slope"));
}

}  // namespace fastconv::bind
