// Softmax and cross-entropy on the GPU.
#include <cmath>

#include "common/block_sum.cuh"
#include "softmax_xent/rows.cuh"
#include "softmax_xent/softmax_xent.h"

namespace fastconv::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) forward_kernel(Rows r, Global<const float> x, Global<float> y) {
  r.for_each([&](int64_t row, int64_t classes) {
    const int64_t first = row * r.classes;
    const float largest = largest_of(r, x, first, classes).value;
    double sum = 0.0;
    r.for_each_class(classes, [&](int64_t c) {
      const float e = expf(x.load(first + c) - largest);
      y.store(first + c, e);
      sum += e;
    });
    const float scale = float(1.0 / r.sum(sum));
    r.for_each_class(classes, [&](int64_t c) { y.store(first + c, y.load(first + c) * scale); });
  });
}

__global__ void __launch_bounds__(kThreads)
    backward_kernel(Rows r, Global<const float> dy, Global<const float> y, Global<float> dx) {
  r.for_each([&](int64_t row, int64_t classes) {
    const int64_t first = row * r.classes;
    double dot = 0.0;
    r.for_each_class(classes, [&](int64_t c) { dot += double(dy.load(first + c)) * double(y.load(first + c)); });
    const float mean = float(r.sum(dot));
    r.for_each_class(classes, [&](int64_t c) { dx.store(first + c, y.load(first + c) * (dy.load(first + c) - mean)); });
  });
}

template <typename Label>
__global__ void __launch_bounds__(kSumThreads)
    xent_kernel(Rows r, SampleWeights weights, Global<const float> x, Global<const Label> labels, Global<double> totals,
                Global<float> dx) {
  double sums[2] = {0.0, 0.0};
  r.for_each([&](int64_t row, int64_t classes) {
    const int64_t first = row * r.classes;
    const Largest largest = largest_of(r, x, first, classes);
    Largest label;
    double label_sum = 0.0, label_dot = 0.0, sum = 0.0;
    r.for_each_class(classes, [&](int64_t c) {
      const float y = label_at(labels, r, weights, row, c), shifted = x.load(first + c) - largest.value;
      const float e = expf(shifted);
      label.add({y, c});
      label_sum += y;
      if (y != 0.0f) label_dot += double(y) * double(shifted);
      sum += e;
      if (dx) dx.store(first + c, e);  // from here on x may be gone
    });
    label.share(r);
    label_sum = r.sum(label_sum);
    label_dot = r.sum(label_dot);
    sum = r.sum(sum);
    const double weight = classes > 0 ? weights.of(row) : 0.0;
    if (classes > 0 && r.leads()) {
      sums[0] += weight * (label_sum * log(sum) - label_dot);
      sums[1] += largest.index == label.index;
    }
    if (!dx) return;
    const double share = weights.weight * weight / double(r.rows);
    const float scale = float(label_sum * share / sum), label_scale = float(share);
    r.for_each_class(classes, [&](int64_t c) {
      dx.store(first + c, dx.load(first + c) * scale - label_at(labels, r, weights, row, c) * label_scale);
    });
  });
  const double total = block_sum(sums);
  if (thread() < 2) totals.store(thread(), total / double(weights.items));
}

Grid grid(const Rows& r) {
  const int64_t at_once = kThreads >> r.shift;
  return {(r.rows + at_once - 1) / at_once};
}

template <typename Label>
void xent(const float* x, const Label* labels, const LossSettings& settings, double* totals, float* dx, int64_t rows,
          int64_t classes, void* stream) {
  launch("softmax_xent", xent_kernel<Label>, {}, kSumThreads, block_sum_bytes(2, kSumThreads), Stream(stream),
         rows_of(rows, classes), sample_weights(settings, rows, classes), global(x, rows * classes),
         global_labels(labels, rows, classes), global(totals, 2), global(dx, rows * classes));
}

}  // namespace

void softmax_forward(const float* x, float* y, int64_t rows, int64_t classes, void* stream) {
  const Rows r = rows_of(rows, classes);
  launch("softmax_forward", forward_kernel, grid(r), kThreads, 0, Stream(stream), r, global(x, rows * classes),
         global(y, rows * classes));
}

void softmax_backward(const float* dy, const float* y, float* dx, int64_t rows, int64_t classes, void* stream) {
  const Rows r = rows_of(rows, classes);
  launch("softmax_backward", backward_kernel, grid(r), kThreads, 0, Stream(stream), r, global(dy, rows * classes),
         global(y, rows * classes), global(dx, rows * classes));
}

void softmax_xent(const float* x, const float* labels, const LossSettings& settings, double* totals, float* dx,
                  int64_t rows, int64_t classes, void* stream) {
  xent(x, labels, settings, totals, dx, rows, classes, stream);
}

void softmax_xent(const float* x, const int32_t* labels, const LossSettings& settings, double* totals, float* dx,
                  int64_t rows, int64_t classes, void* stream) {
  xent(x, labels, settings, totals, dx, rows, classes, stream);
}

}  // namespace fastconv::cuda
