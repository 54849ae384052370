// Cross-entropy of probabilities on the GPU: categorical.cpp.
#include <cmath>
#include <type_traits>

#include "common/block_sum.cuh"
#include "loss/loss.h"
#include "softmax_xent/rows.cuh"

namespace fastconv::cuda {
namespace {

__device__ float clipped(float p) {
  constexpr float kLow = 1e-7f, kHigh = 1.0f - kLow;
  return p < kLow ? kLow : p > kHigh ? kHigh : p;
}

__device__ bool is_inside(float p) { return p == clipped(p) || p != p; }

// Of a row of probabilities: what they are divided by before they are clipped, or after it.
struct RowSums {
  double before = 1.0, after = 1.0;
};

__device__ RowSums sums_of(const Rows& r, Global<const float> x, Global<const float>, int64_t first, int64_t classes) {
  double sum = 0.0;
  r.for_each_class(classes, [&](int64_t c) { sum += x.load(first + c); });
  return {r.sum(sum), 1.0};
}
__device__ RowSums sums_of(const Rows& r, Global<const float> x, Global<const int32_t>, int64_t first,
                           int64_t classes) {
  double sum = 0.0;
  r.for_each_class(classes, [&](int64_t c) { sum += clipped(x.load(first + c)); });
  return {1.0, r.sum(sum)};
}

template <typename Label>
__global__ void __launch_bounds__(kSumThreads)
    crossentropy_kernel(Rows r, SampleWeights weights, Global<const float> x, Global<const Label> labels,
                        Global<double> totals, Global<float> dx) {
  constexpr bool kNumbers = std::is_same_v<Label, int32_t>;
  double totals_of_thread[2] = {0.0, 0.0};
  r.for_each([&](int64_t row, int64_t classes) {
    const int64_t first = row * r.classes;
    const RowSums sums = sums_of(r, x, labels, first, classes);
    const auto q = [&](int64_t c) { return float(x.load(first + c) / sums.before); };
    const auto slope = [&](int64_t c) {
      return is_inside(q(c)) ? -double(label_at(labels, r, weights, row, c)) / q(c) : 0.0;
    };
    const Largest largest = largest_of(r, x, first, classes);
    Largest label;
    double label_sum = 0.0, label_dot = 0.0, dot = 0.0;
    r.for_each_class(classes, [&](int64_t c) {
      const float y = label_at(labels, r, weights, row, c);
      label.add({y, c});
      label_sum += y;
      if (y != 0.0f) label_dot += double(y) * logf(clipped(q(c)));
      dot += slope(c) * q(c);
    });
    label.share(r);
    label_sum = r.sum(label_sum);
    label_dot = r.sum(label_dot);
    dot = kNumbers ? -label_sum / sums.after : r.sum(dot);
    const double weight = classes > 0 ? weights.of(row) : 0.0;
    if (classes > 0 && r.leads()) {
      totals_of_thread[0] += weight * (label_sum * log(sums.after) - label_dot);
      totals_of_thread[1] += largest.index == label.index;
    }
    if (!dx) return;
    const double share = weights.weight * weight / double(r.rows) / sums.before;
    r.for_each_class(classes, [&](int64_t c) {
      const bool moves = !kNumbers || is_inside(q(c));
      dx.store(first + c, moves ? float((slope(c) - dot) * share) : 0.0f);
    });
  });
  const double total = block_sum(totals_of_thread);
  if (thread() < 2) totals.store(thread(), total / double(weights.items));
}

template <typename Label>
void crossentropy(const float* x, const Label* labels, const LossSettings& settings, double* totals, float* dx,
                  int64_t rows, int64_t classes, void* stream) {
  launch("categorical_crossentropy", crossentropy_kernel<Label>, {}, kSumThreads, block_sum_bytes(2, kSumThreads),
         Stream(stream), rows_of(rows, classes), sample_weights(settings, rows, classes), global(x, rows * classes),
         global_labels(labels, rows, classes), global(totals, 2), global(dx, rows * classes));
}

}  // namespace

void categorical_crossentropy(const float* x, const float* labels, const LossSettings& settings, double* totals,
                              float* dx, int64_t rows, int64_t classes, void* stream) {
  crossentropy(x, labels, settings, totals, dx, rows, classes, stream);
}

void categorical_crossentropy(const float* x, const int32_t* labels, const LossSettings& settings, double* totals,
                              float* dx, int64_t rows, int64_t classes, void* stream) {
  crossentropy(x, labels, settings, totals, dx, rows, classes, stream);
}

}  // namespace fastconv::cuda
