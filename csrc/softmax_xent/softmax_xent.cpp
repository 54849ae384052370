#include "softmax_xent/softmax_xent.h"

#include <cmath>

#include "softmax_xent/rows.h"

namespace fastconv {
namespace {

template <typename Body>
void for_each_row(int64_t rows, int64_t classes, Body&& body) {
  const int64_t chunk = std::max<int64_t>(kItemElements / classes, 1);
  parallel_for(ceil_div(rows, chunk), num_threads(), [&](int64_t item, int) {
    for (int64_t row = item * chunk; row < std::min((item + 1) * chunk, rows); ++row) body(row * classes);
  });
}

// `share`: of the row in the gradient.
template <typename Label>
void add_row(const float* x, const Label& label, double weight, double share, RowTotals& totals, float* dx,
             int64_t classes) {
  const int64_t best = argmax(x, classes);
  const float largest = x[best];
  double label_sum = 0.0, label_dot = 0.0, sum = 0.0;
  for (int64_t c = 0; c < classes; ++c) {
    const float y = label.at(c), shifted = x[c] - largest, e = std::exp(shifted);
    label_sum += y;
    if (y != 0.0f) label_dot += double(y) * double(shifted);
    sum += e;
    if (dx) dx[c] = e;  // from here on x may be gone
  }
  totals.value += weight * (label_sum * std::log(sum) - label_dot);
  totals.correct += best == label.best(classes);
  if (!dx) return;
  const float scale = float(label_sum * share / sum);
  for (int64_t c = 0; c < classes; ++c) dx[c] = dx[c] * scale - label.at(c) * float(share);
}

template <typename Label>
void xent(const float* x, const Label* labels, const LossSettings& settings, double* totals, float* dx, int64_t rows,
          int64_t classes) {
  check_labels("softmax_xent", labels, rows, classes);
  const RowTotals sum = sum_over_rows(rows, classes, [&](int64_t row, RowTotals& to) {
    const int64_t first = row * classes;
    const double weight = settings.weight_of(row, rows);
    add_row(x + first, label_of(labels, row, classes, settings.label_smoothing), weight,
            settings.weight * weight / double(rows), to, dx ? dx + first : nullptr, classes);
  });
  const double rows_of_a_sample = double(rows / settings.samples);
  totals[0] = sum.value / rows_of_a_sample;
  totals[1] = sum.correct / rows_of_a_sample;
}

}  // namespace

void softmax_forward(const float* x, float* y, int64_t rows, int64_t classes) {
  for_each_row(rows, classes, [&](int64_t first) {
    const float *from = x + first, largest = from[argmax(from, classes)];
    float* to = y + first;
    double sum = 0.0;
    for (int64_t c = 0; c < classes; ++c) {
      to[c] = std::exp(from[c] - largest);
      sum += to[c];
    }
    const float scale = float(1.0 / sum);
    for (int64_t c = 0; c < classes; ++c) to[c] *= scale;
  });
}

void softmax_backward(const float* dy, const float* y, float* dx, int64_t rows, int64_t classes) {
  for_each_row(rows, classes, [&](int64_t first) {
    double dot = 0.0;
    for (int64_t c = first; c < first + classes; ++c) dot += double(dy[c]) * double(y[c]);
    for (int64_t c = first; c < first + classes; ++c) dx[c] = y[c] * (dy[c] - float(dot));
  });
}

void softmax_xent(const float* x, const float* labels, const LossSettings& settings, double* totals, float* dx,
                  int64_t rows, int64_t classes) {
  xent(x, labels, settings, totals, dx, rows, classes);
}

void softmax_xent(const float* x, const int32_t* labels, const LossSettings& settings, double* totals, float* dx,
                  int64_t rows, int64_t classes) {
  xent(x, labels, settings, totals, dx, rows, classes);
}

}  // namespace fastconv
