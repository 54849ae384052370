#include "metrics/metrics.h"

#include "bind/rows.h"

namespace fastconv::bind {

void register_metrics(py::module_& m) {
  m.def(
      "categorical_accuracy",
      [](const py::array& x, const py::array& labels, const py::array& totals, int64_t k,
         const py::object& sample_weight) {
        const Rows shape(x, "x");
        const float* x_data = input<float>(x, "x", shape.count);
        double* totals_data = output<double>(totals, "totals", 2);
        const float* weights = optional_input<float>(sample_weight, "sample_weight", shape.samples);
        with_labels(x, labels, shape, [&](const auto* y) {
          categorical_accuracy(x_data, y, weights, totals_data, k, shape.samples, shape.rows, shape.classes);
        });
      },
      py::arg("x"), py::arg("labels"), py::arg("totals"), py::arg("k") = 0, py::arg("sample_weight") = py::none());
  m.def(
      "confusion",
      [](const py::array& x, const py::array& target, const py::array& thresholds, const py::array& totals,
         const py::object& sample_weight) {
        const Rows shape(x, "x");
        const float* x_data = input<float>(x, "x", shape.count);
        const float* target_data = input<float>(target, "target", shape.count);
        const float* thresholds_data = input<float>(thresholds, "thresholds", thresholds.size());
        double* totals_data = output<double>(totals, "totals", 2 * (thresholds.size() + 1));
        const float* weights = optional_input<float>(sample_weight, "sample_weight", shape.samples);
        const int64_t count = thresholds.size();
        const py::gil_scoped_release unlock;
        confusion(x_data, target_data, thresholds_data, weights, totals_data, shape.samples, shape.count, count);
      },
      py::arg("x"), py::arg("target"), py::arg("thresholds"), py::arg("totals"), py::arg("sample_weight") = py::none());
}

}  // namespace fastconv::bind
