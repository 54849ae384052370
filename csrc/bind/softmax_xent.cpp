#include "softmax_xent/softmax_xent.h"

#include "bind/checks.h"

namespace fastconv::bind {
namespace {

// Rows of the last axis.
struct Rows {
  int64_t count, rows, classes;

  Rows(const py::array& x, const char* name) {
    if (x.ndim() == 0 || x.size() == 0)
      throw py::value_error(std::string(name) + ": expected at least one row of at least one class. Received: shape " +
                            std::string(py::str(x.attr("shape"))));
    count = x.size();
    classes = x.shape(x.ndim() - 1);
    rows = count / classes;
  }
};

}  // namespace

void register_softmax_xent(py::module_& m) {
  m.def(
      "softmax_forward",
      [](const py::array& x, const py::array& y) {
        const Rows shape(x, "x");
        const float* x_data = input<float>(x, "x", shape.count);
        float* y_data = output<float>(y, "y", shape.count);
        const py::gil_scoped_release unlock;
        softmax_forward(x_data, y_data, shape.rows, shape.classes);
      },
      py::arg("x"), py::arg("y"));
  m.def(
      "softmax_backward",
      [](const py::array& dy, const py::array& y, const py::array& dx) {
        const Rows shape(dy, "dy");
        const float* dy_data = input<float>(dy, "dy", shape.count);
        const float* y_data = input<float>(y, "y", shape.count);
        float* dx_data = output<float>(dx, "dx", shape.count);
        const py::gil_scoped_release unlock;
        softmax_backward(dy_data, y_data, dx_data, shape.rows, shape.classes);
      },
      py::arg("dy"), py::arg("y"), py::arg("dx"));
  m.def(
      "softmax_xent",
      [](const py::array& x, const py::array& labels, const py::array& totals, const py::object& dx) {
        const Rows shape(x, "x");
        const float* x_data = input<float>(x, "x", shape.count);
        double* totals_data = output<double>(totals, "totals", 2);
        float* dx_data = optional_output<float>(dx, "dx", shape.count);
        if (labels.ndim() == 1 && x.ndim() > 1) {
          const int32_t* classes = input<int32_t>(labels, "labels", shape.rows);
          const py::gil_scoped_release unlock;
          softmax_xent(x_data, classes, totals_data, dx_data, shape.rows, shape.classes);
        } else {
          const float* distributions = input<float>(labels, "labels", shape.count);
          const py::gil_scoped_release unlock;
          softmax_xent(x_data, distributions, totals_data, dx_data, shape.rows, shape.classes);
        }
      },
      py::arg("x"), py::arg("labels"), py::arg("totals"), py::arg("dx"));
}

}  // namespace fastconv::bind
