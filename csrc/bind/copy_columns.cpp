#include "copy_columns/copy_columns.h"

#include "bind/checks.h"
#include "copy_columns/checked.h"

namespace fastconv::bind {

void register_copy_columns(py::module_& m) {
  m.def(
      "copy_columns",
      [](const py::array& x, const py::array& y, int64_t rows, int64_t columns, int64_t x_at, int64_t y_at) {
        const float* from = input<float>(x, "x", x.size());
        float* to = output<float>(y, "y", y.size());
        const Columns checked = checked_columns(x.size(), y.size(), rows, columns, x_at, y_at);
        const py::gil_scoped_release unlock;
        copy_columns(from, to, checked);
      },
      py::arg("x"), py::arg("y"), py::arg("rows"), py::arg("columns"), py::arg("x_at"), py::arg("y_at"));
}

}  // namespace fastconv::bind
