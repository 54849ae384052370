// Rows of classes on the host, and the labels that belong to them: shared by the losses and metrics of classes.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>

#include "common/errors.h"
#include "common/parallel.h"

namespace fastconv {

constexpr int64_t kItemElements = 4096;  // of rows with an exp each: some 10 us
constexpr int64_t kMaxParts = 64;        // of a sum over rows: each has its totals on the stack

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The first of the largest; a NaN is larger than nothing.
inline int64_t argmax(const float* x, int64_t count) {
  int64_t best = 0;
  for (int64_t c = 1; c < count; ++c)
    if (x[c] > x[best]) best = c;
  return best;
}

// One row's label as a distribution: at(c) is y * scale + offset of a class, best the first of the largest.
struct Smoothing {
  float scale, offset;

  Smoothing(float smoothing, int64_t classes) : scale(1.0f - smoothing), offset(smoothing / float(classes)) {}
};

struct Distribution {
  const float* y;
  Smoothing smoothing;

  int64_t best(int64_t classes) const { return argmax(y, classes); }
  float at(int64_t c) const { return y[c] * smoothing.scale + smoothing.offset; }
};

struct OneClass {
  int64_t label;
  Smoothing smoothing;

  int64_t best(int64_t) const { return label; }
  float at(int64_t c) const { return (c == label ? smoothing.scale : 0.0f) + smoothing.offset; }
};

inline Distribution label_of(const float* labels, int64_t row, int64_t classes, float smoothing = 0.0f) {
  return {labels + row * classes, {smoothing, classes}};
}
inline OneClass label_of(const int32_t* labels, int64_t row, int64_t classes, float smoothing = 0.0f) {
  return {labels[row], {smoothing, classes}};
}

inline void check_labels(const char*, const float*, int64_t, int64_t) {}
inline void check_labels(const char* op, const int32_t* labels, int64_t rows, int64_t classes) {
  for (int64_t row = 0; row < rows; ++row)
    if (labels[row] < 0 || labels[row] >= classes)
      fail(op, "labels from 0 to " + std::to_string(classes - 1),
           "labels[" + std::to_string(row) + "] = " + std::to_string(labels[row]));
}

// What a loss or metric sums over rows.
struct RowTotals {
  double value = 0.0, correct = 0.0;

  void add(const RowTotals& more) {
    value += more.value;
    correct += more.correct;
  }
};

// The sums of what add(row, totals) adds, in order of the rows.
template <typename Add>
RowTotals sum_over_rows(int64_t rows, int64_t classes, Add&& add) {
  const int64_t chunk = std::max(std::max<int64_t>(kItemElements / classes, 1), ceil_div(rows, kMaxParts));
  const int64_t parts = ceil_div(rows, chunk);
  RowTotals part_totals[kMaxParts], sum;
  parallel_for(parts, num_threads(), [&](int64_t part, int) {
    RowTotals totals;
    for (int64_t row = part * chunk; row < std::min((part + 1) * chunk, rows); ++row) add(row, totals);
    part_totals[part] = totals;
  });
  for (int64_t part = 0; part < parts; ++part) sum.add(part_totals[part]);
  return sum;
}

}  // namespace fastconv
