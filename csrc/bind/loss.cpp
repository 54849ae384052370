#include "loss/loss.h"

#include "bind/rows.h"
#include "loss/named.h"

namespace fastconv::bind {

void register_loss(py::module_& m) {
  m.def(
      "loss",
      [](const py::array& x, const py::array& target, const py::array& totals, const py::object& dx, const py::object&,
         const std::string& function, double parameter, const py::object& sample_weight, double label_smoothing,
         double weight) {
        const Rows shape(x, "x");
        const LossFunction known = loss_function(function, parameter);
        const float* x_data = input<float>(x, "x", shape.count);
        const float* target_data = input<float>(target, "target", shape.count);
        double* totals_data = output<double>(totals, "totals", 2);
        float* dx_data = optional_output<float>(dx, "dx", shape.count);
        const LossSettings settings = loss_settings(shape.samples, sample_weight, label_smoothing, weight);
        const py::gil_scoped_release unlock;
        loss(known, x_data, target_data, settings, totals_data, dx_data, shape.count);
      },
      py::arg("x"), py::arg("target"), py::arg("totals"), py::arg("dx"), py::arg("workspace"), py::arg("function"),
      py::arg("parameter") = 0.0, py::arg("sample_weight") = py::none(), py::arg("label_smoothing") = 0.0,
      py::arg("weight") = 1.0);
  m.def(
      "categorical_crossentropy",
      [](const py::array& x, const py::array& labels, const py::array& totals, const py::object& dx,
         const py::object& sample_weight, double label_smoothing, double weight) {
        const Rows shape(x, "x");
        const float* x_data = input<float>(x, "x", shape.count);
        double* totals_data = output<double>(totals, "totals", 2);
        float* dx_data = optional_output<float>(dx, "dx", shape.count);
        const LossSettings settings = loss_settings(shape.samples, sample_weight, label_smoothing, weight);
        with_labels(x, labels, shape, [&](const auto* y) {
          categorical_crossentropy(x_data, y, settings, totals_data, dx_data, shape.rows, shape.classes);
        });
      },
      py::arg("x"), py::arg("labels"), py::arg("totals"), py::arg("dx"), py::arg("sample_weight") = py::none(),
      py::arg("label_smoothing") = 0.0, py::arg("weight") = 1.0);
}

}  // namespace fastconv::bind
