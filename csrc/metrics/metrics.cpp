#include "metrics/metrics.h"

#include <cmath>

#include "loss/settings.h"
#include "softmax_xent/rows.h"

namespace fastconv {
namespace {

bool is_found(const float* x, int64_t label, int64_t k, int64_t classes) {
  if (k == 0) return argmax(x, classes) == label;
  int64_t larger = 0;
  bool finite = true;
  for (int64_t c = 0; c < classes; ++c) {
    larger += x[c] > x[label];
    finite &= std::isfinite(x[c]);
  }
  return finite && larger < k;
}

template <typename Label>
void accuracy(const float* x, const Label* labels, const float* sample_weight, double* totals, int64_t k,
              int64_t samples, int64_t rows, int64_t classes) {
  check_labels("categorical_accuracy", labels, rows, classes);
  const LossSettings settings = {samples, sample_weight};
  const RowTotals sum = sum_over_rows(rows, classes, [&](int64_t row, RowTotals& to) {
    const double weight = settings.weight_of(row, rows);
    to.value += weight;
    if (is_found(x + row * classes, label_of(labels, row, classes).best(classes), k, classes)) to.correct += weight;
  });
  const double rows_of_a_sample = double(rows / samples);
  totals[0] = sum.correct / rows_of_a_sample;
  totals[1] = sum.value / rows_of_a_sample;
}

}  // namespace

void categorical_accuracy(const float* x, const float* labels, const float* sample_weight, double* totals, int64_t k,
                          int64_t samples, int64_t rows, int64_t classes) {
  accuracy(x, labels, sample_weight, totals, k, samples, rows, classes);
}

void categorical_accuracy(const float* x, const int32_t* labels, const float* sample_weight, double* totals, int64_t k,
                          int64_t samples, int64_t rows, int64_t classes) {
  accuracy(x, labels, sample_weight, totals, k, samples, rows, classes);
}

void confusion(const float* x, const float* target, const float* thresholds, const float* sample_weight, double* totals,
               int64_t samples, int64_t count, int64_t threshold_count) {
  const LossSettings settings = {samples, sample_weight};
  double *of_class = totals, *others = totals + threshold_count + 1;
  std::fill(totals, totals + 2 * (threshold_count + 1), 0.0);
  for (int64_t i = 0; i < count; ++i) {
    const bool is_nan = std::isnan(x[i]);
    const int64_t below =
        is_nan ? threshold_count : std::lower_bound(thresholds, thresholds + threshold_count, x[i]) - thresholds;
    (target[i] != 0.0f ? of_class : others)[below] += is_nan ? NAN : double(settings.weight_of(i, count));
  }
}

}  // namespace fastconv
