#include "softmax_xent/softmax_xent.h"

#include "bind/rows.h"

namespace fastconv::bind {

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
      [](const py::array& x, const py::array& labels, const py::array& totals, const py::object& dx,
         const py::object& sample_weight, double label_smoothing, double weight) {
        const Rows shape(x, "x");
        const float* x_data = input<float>(x, "x", shape.count);
        double* totals_data = output<double>(totals, "totals", 2);
        float* dx_data = optional_output<float>(dx, "dx", shape.count);
        const LossSettings settings = loss_settings(shape.samples, sample_weight, label_smoothing, weight);
        with_labels(x, labels, shape, [&](const auto* y) {
          softmax_xent(x_data, y, settings, totals_data, dx_data, shape.rows, shape.classes);
        });
      },
      py::arg("x"), py::arg("labels"), py::arg("totals"), py::arg("dx"), py::arg("sample_weight") = py::none(),
      py::arg("label_smoothing") = 0.0, py::arg("weight") = 1.0);
}

}  // namespace fastconv::bind
