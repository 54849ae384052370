#include "elementwise/elementwise.h"

#include "bind/checks.h"

namespace fastconv::bind {

void register_elementwise(py::module_& m) {
  m.def(
      "add_forward",
      [](const py::array& a, const py::array& b, const py::array& y) {
        const int64_t count = a.size();
        const float* a_data = input<float>(a, "a", count);
        const float* b_data = input<float>(b, "b", count);
        float* y_data = output<float>(y, "y", count);
        const py::gil_scoped_release unlock;
        add_forward(a_data, b_data, y_data, count);
      },
      py::arg("a"), py::arg("b"), py::arg("y"));
  m.def(
      "first_non_finite",
      [](const py::array& x) {
        const int64_t count = x.size();
        const float* data = input<float>(x, "x", count);
        const py::gil_scoped_release unlock;
        return first_non_finite(data, count);
      },
      py::arg("x"));
}

}  // namespace fastconv::bind
