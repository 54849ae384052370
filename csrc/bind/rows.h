// What the losses and metrics of an output take beside it.
#pragma once
#include "bind/checks.h"
#include "loss/settings.h"

namespace fastconv::bind {

// Rows of the last axis; the first axis is that of the samples.
struct Rows {
  int64_t count, rows, classes, samples;

  Rows(const py::array& x, const char* name) {
    if (x.ndim() == 0 || x.size() == 0)
      throw py::value_error(std::string(name) + ": expected at least one row of at least one class. Received: shape " +
                            std::string(py::str(x.attr("shape"))));
    count = x.size();
    classes = x.shape(x.ndim() - 1);
    rows = count / classes;
    samples = x.ndim() == 1 ? 1 : x.shape(0);
  }
};

inline LossSettings loss_settings(int64_t samples, const py::object& sample_weight, double label_smoothing,
                                  double weight) {
  return {samples, optional_input<float>(sample_weight, "sample_weight", samples), float(label_smoothing), weight};
}

// Calls run(labels), which are the numbers of classes where they have an axis less than x, else distributions; without
// the GIL.
template <typename Run>
void with_labels(const py::array& x, const py::array& labels, const Rows& shape, Run&& run) {
  if (labels.ndim() < x.ndim()) {
    const int32_t* numbers = input<int32_t>(labels, "labels", shape.rows);
    const py::gil_scoped_release unlock;
    run(numbers);
  } else {
    const float* distributions = input<float>(labels, "labels", shape.count);
    const py::gil_scoped_release unlock;
    run(distributions);
  }
}

}  // namespace fastconv::bind
