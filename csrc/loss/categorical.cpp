// Cross-entropy of probabilities that come from no softmax. Rows are short, and the loss is rare: plain C++, built once.
#include <cmath>

#include "loss/loss.h"
#include "softmax_xent/rows.h"

namespace fastconv {
namespace {

// A NaN stays one.
float clipped(float p) {
  constexpr float kLow = 1e-7f, kHigh = 1.0f - kLow;
  return p < kLow ? kLow : p > kHigh ? kHigh : p;
}

double add_row(const float* x, const Distribution& label, double share, float* dx, int64_t classes) {
  double sum = 0.0, loss = 0.0, dot = 0.0;  // dot: of q with the gradient by q
  for (int64_t c = 0; c < classes; ++c) sum += x[c];
  const auto slope = [&](float q, int64_t c) { return q == clipped(q) || q != q ? -label.at(c) / q : 0.0f; };
  for (int64_t c = 0; c < classes; ++c) {
    const float q = float(x[c] / sum);
    loss -= double(label.at(c)) * std::log(clipped(q));
    dot += double(slope(q, c)) * q;
  }
  if (dx)
    for (int64_t c = 0; c < classes; ++c) dx[c] = float((slope(float(x[c] / sum), c) - dot) * share / sum);
  return loss;
}

double add_row(const float* x, const OneClass& label, double share, float* dx, int64_t classes) {
  double sum = 0.0, label_sum = 0.0, label_dot = 0.0;
  for (int64_t c = 0; c < classes; ++c) {
    const float q = clipped(x[c]), y = label.at(c);
    sum += q;
    label_sum += y;
    if (y != 0.0f) label_dot += double(y) * std::log(q);
  }
  if (dx)
    for (int64_t c = 0; c < classes; ++c) {
      const float q = clipped(x[c]);
      const double slope = label_sum / sum - double(label.at(c)) / q;
      dx[c] = q == x[c] || q != q ? float(slope * share) : 0.0f;
    }
  return label_sum * std::log(sum) - label_dot;
}

template <typename Label>
void crossentropy(const float* x, const Label* labels, const LossSettings& settings, double* totals, float* dx,
                  int64_t rows, int64_t classes) {
  check_labels("categorical_crossentropy", labels, rows, classes);
  const RowTotals sum = sum_over_rows(rows, classes, [&](int64_t row, RowTotals& to) {
    const int64_t first = row * classes;
    const auto label = label_of(labels, row, classes, settings.label_smoothing);
    const double weight = settings.weight_of(row, rows);
    to.correct += argmax(x + first, classes) == label.best(classes);
    to.value +=
        weight * add_row(x + first, label, settings.weight * weight / double(rows), dx ? dx + first : nullptr, classes);
  });
  const double rows_of_a_sample = double(rows / settings.samples);
  totals[0] = sum.value / rows_of_a_sample;
  totals[1] = sum.correct / rows_of_a_sample;
}

}  // namespace

void categorical_crossentropy(const float* x, const float* labels, const LossSettings& settings, double* totals,
                              float* dx, int64_t rows, int64_t classes) {
  crossentropy(x, labels, settings, totals, dx, rows, classes);
}

void categorical_crossentropy(const float* x, const int32_t* labels, const LossSettings& settings, double* totals,
                              float* dx, int64_t rows, int64_t classes) {
  crossentropy(x, labels, settings, totals, dx, rows, classes);
}

}  // namespace fastconv
