#include "layout/layout.h"

#include "bind/checks.h"
#include "bind/dilation.h"

namespace fastconv::bind {
namespace {

py::tuple shape_of(const py::array& a) { return py::tuple(a.attr("shape")); }

}  // namespace

void register_layout(py::module_& m) {
  m.def(
      "space_to_batch",
      [](const py::array& x, const py::array& y, const py::tuple& dilation, const py::tuple& padding) {
        const Dilation d = dilation_of(shape_of(x), shape_of(y), dilation, padding);
        const float* from = input<float>(x, "x", x.size());
        float* to = output<float>(y, "y", y.size());
        const py::gil_scoped_release unlock;
        space_to_batch(d, from, to);
      },
      py::arg("x"), py::arg("y"), py::arg("dilation"), py::arg("padding"));
  m.def(
      "batch_to_space",
      [](const py::array& x, const py::array& y, const py::tuple& dilation, const py::tuple& padding) {
        const Dilation d = dilation_of(shape_of(y), shape_of(x), dilation, padding);
        const float* from = input<float>(x, "x", x.size());
        float* to = output<float>(y, "y", y.size());
        const py::gil_scoped_release unlock;
        batch_to_space(d, from, to);
      },
      py::arg("x"), py::arg("y"), py::arg("dilation"), py::arg("padding"));
  m.def(
      "swap_axes",
      [](const py::array& x, const py::array& y, int64_t rows, int64_t columns) {
        require(rows > 0 && columns > 0 && x.size() > 0 && x.size() % (rows * columns) == 0, "x",
                "rows * columns parts", x.size());
        const float* from = input<float>(x, "x", x.size());
        float* to = output<float>(y, "y", x.size());
        const int64_t size = x.size() / (rows * columns);
        const py::gil_scoped_release unlock;
        swap_axes(from, to, rows, columns, size);
      },
      py::arg("x"), py::arg("y"), py::arg("rows"), py::arg("columns"));
}

}  // namespace fastconv::bind
