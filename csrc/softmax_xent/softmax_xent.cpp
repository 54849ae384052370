#include "softmax_xent/softmax_xent.h"

#include <algorithm>
#include <cmath>

#include "common/errors.h"
#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr int64_t kItemElements = 4096;  // an exp each: some 10 us
constexpr int64_t kMaxParts = 64;        // of xent: each has its totals on the stack

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <typename Body>
void for_each_row(int64_t rows, int64_t classes, Body&& body) {
  const int64_t chunk = std::max<int64_t>(kItemElements / classes, 1);
  parallel_for(ceil_div(rows, chunk), num_threads(), [&](int64_t item, int) {
    for (int64_t row = item * chunk; row < std::min((item + 1) * chunk, rows); ++row) body(row * classes);
  });
}

// The first of the largest; a NaN is larger than nothing.
int64_t argmax(const float* x, int64_t count) {
  int64_t best = 0;
  for (int64_t c = 1; c < count; ++c)
    if (x[c] > x[best]) best = c;
  return best;
}

// One row's label as a distribution: sum of y, sum of y * (x - max), its class, and y of a class.
struct Distribution {
  const float* y;

  double sum(int64_t classes) const {
    double total = 0.0;
    for (int64_t c = 0; c < classes; ++c) total += y[c];
    return total;
  }
  double dot(const float* x, float largest, int64_t classes) const {
    double total = 0.0;
    for (int64_t c = 0; c < classes; ++c)
      if (y[c] != 0.0f) total += double(y[c]) * double(x[c] - largest);
    return total;
  }
  int64_t best(int64_t classes) const { return argmax(y, classes); }
  float at(int64_t c) const { return y[c]; }
};

struct OneClass {
  int64_t label;

  double sum(int64_t) const { return 1.0; }
  double dot(const float* x, float largest, int64_t) const { return double(x[label] - largest); }
  int64_t best(int64_t) const { return label; }
  float at(int64_t c) const { return c == label ? 1.0f : 0.0f; }
};

Distribution label_of(const float* labels, int64_t row, int64_t classes) { return {labels + row * classes}; }
OneClass label_of(const int32_t* labels, int64_t row, int64_t) { return {labels[row]}; }

struct Totals {
  double loss = 0.0, correct = 0.0;
};

template <typename Label>
void add_row(const float* x, const Label& label, Totals& totals, float* dx, int64_t rows, int64_t classes) {
  const int64_t best = argmax(x, classes);
  const float largest = x[best];
  const double label_sum = label.sum(classes), label_dot = label.dot(x, largest, classes);
  const bool correct = best == label.best(classes);
  double sum = 0.0;
  for (int64_t c = 0; c < classes; ++c) {
    const float e = std::exp(x[c] - largest);
    sum += e;
    if (dx) dx[c] = e;  // from here on x may be gone
  }
  totals.loss += label_sum * std::log(sum) - label_dot;
  totals.correct += correct;
  if (!dx) return;
  const float scale = float(label_sum / (sum * double(rows))), per_row = float(1.0 / double(rows));
  for (int64_t c = 0; c < classes; ++c) dx[c] = dx[c] * scale - label.at(c) * per_row;
}

template <typename Label>
void xent(const float* x, const Label* labels, double* totals, float* dx, int64_t rows, int64_t classes) {
  const int64_t chunk = std::max(std::max<int64_t>(kItemElements / classes, 1), ceil_div(rows, kMaxParts));
  const int64_t parts = ceil_div(rows, chunk);
  Totals part_totals[kMaxParts];
  parallel_for(parts, num_threads(), [&](int64_t part, int) {
    Totals sum;
    for (int64_t row = part * chunk; row < std::min((part + 1) * chunk, rows); ++row)
      add_row(x + row * classes, label_of(labels, row, classes), sum, dx ? dx + row * classes : nullptr, rows, classes);
    part_totals[part] = sum;
  });
  Totals sum;
  for (int64_t part = 0; part < parts; ++part) {
    sum.loss += part_totals[part].loss;
    sum.correct += part_totals[part].correct;
  }
  totals[0] = sum.loss;
  totals[1] = sum.correct;
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

void softmax_xent(const float* x, const float* labels, double* totals, float* dx, int64_t rows, int64_t classes) {
  xent(x, labels, totals, dx, rows, classes);
}

void softmax_xent(const float* x, const int32_t* labels, double* totals, float* dx, int64_t rows, int64_t classes) {
  for (int64_t row = 0; row < rows; ++row)
    if (labels[row] < 0 || labels[row] >= classes)
      fail("softmax_xent", "labels from 0 to " + std::to_string(classes - 1),
           "labels[" + std::to_string(row) + "] = " + std::to_string(labels[row]));
  xent(x, labels, totals, dx, rows, classes);
}

}  // namespace fastconv
