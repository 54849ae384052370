// Softmax and cross-entropy on the GPU. Lanes of a warp share a row; one that has no row joins in their shuffles.
#include <cmath>

#include "common/cuda.cuh"
#include "softmax_xent/softmax_xent.h"

namespace fastconv::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kXentThreads = 1024,
              kXentWarps = kXentThreads / kWarp;  // one block: its totals need no memory but theirs
constexpr int64_t kClassesPerLane = 4;            // or more, in rows of more than a warp has lanes for

// Rows of `classes` numbers, 2^shift lanes each.
struct Rows {
  int64_t rows, classes;
  int shift;

  __host__ __device__ int lanes() const { return 1 << shift; }

  // Calls body(row, classes) in each of the row's lanes; with no classes where there is no row.
  template <typename Body>
  __device__ void for_each(Body&& body) const {
    const int64_t at_once = threads() >> shift;
    for (int64_t first = block_x() * at_once; first < rows; first += blocks_x() * at_once) {
      const int64_t row = first + (thread() >> shift);
      body(row, row < rows ? classes : 0);
    }
  }

  // Calls body(c) for this lane's classes.
  template <typename Body>
  __device__ void for_each_class(int64_t count, Body&& body) const {
    for (int64_t c = thread() % lanes(); c < count; c += lanes()) body(c);
  }

  __device__ double sum(double value) const {
    for (int mask = lanes() / 2; mask > 0; mask /= 2) value += shfl_xor(value, mask);
    return value;
  }
};

Rows rows_of(int64_t rows, int64_t classes) {
  int shift = 0;
  while ((1 << shift) < kWarp && (kClassesPerLane << shift) < classes) ++shift;
  return {rows, classes, shift};
}

// The first of the largest; a NaN is larger than nothing.
struct Largest {
  float value = -INFINITY;
  int64_t index = INT64_MAX;

  __device__ void add(const Largest& other) {
    if (other.value > value || (!(value > other.value) && other.index < index)) *this = other;
  }
  __device__ void share(const Rows& r) {
    for (int mask = r.lanes() / 2; mask > 0; mask /= 2) add({shfl_xor(value, mask), shfl_xor(index, mask)});
  }
};

__device__ Largest largest_of(const Rows& r, Global<const float> x, int64_t first, int64_t classes) {
  Largest largest;
  r.for_each_class(classes, [&](int64_t c) { largest.add({x.load(first + c), c}); });
  largest.share(r);
  return largest;
}

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

// The labels as distributions.
__device__ float label_at(Global<const float> labels, const Rows& r, int64_t row, int64_t c) {
  return labels.load(row * r.classes + c);
}
__device__ float label_at(Global<const int32_t> labels, const Rows& r, int64_t row, int64_t c) {
  const int32_t label = labels.load(row);
  if (label < 0 || label >= r.classes) return NAN;
  return c == label ? 1.0f : 0.0f;
}

template <typename Label>
__global__ void __launch_bounds__(kXentThreads)
    xent_kernel(Rows r, Global<const float> x, Global<const Label> labels, Global<double> totals, Global<float> dx) {
  double loss = 0.0, correct = 0.0;
  r.for_each([&](int64_t row, int64_t classes) {
    const int64_t first = row * r.classes;
    const Largest largest = largest_of(r, x, first, classes);
    Largest label;
    double label_sum = 0.0, label_dot = 0.0, sum = 0.0;
    r.for_each_class(classes, [&](int64_t c) {
      const float y = label_at(labels, r, row, c), shifted = x.load(first + c) - largest.value, e = expf(shifted);
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
    if (classes > 0 && thread() % r.lanes() == 0) {
      loss += label_sum * log(sum) - label_dot;
      correct += largest.index == label.index;
    }
    if (!dx) return;
    const float scale = float(label_sum / (sum * double(r.rows))), per_row = float(1.0 / double(r.rows));
    r.for_each_class(classes, [&](int64_t c) {
      dx.store(first + c, dx.load(first + c) * scale - label_at(labels, r, row, c) * per_row);
    });
  });
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    loss += shfl_xor(loss, mask);
    correct += shfl_xor(correct, mask);
  }
  const Shared<double> sums = shared<double>(0, 2 * kXentWarps);
  if (lane() == 0) {
    sums.store(2 * warp(), loss);
    sums.store(2 * warp() + 1, correct);
  }
  sync();
  if (thread() >= 2) return;
  double total = 0.0;
  for (int w = 0; w < kXentWarps; ++w) total += sums.load(2 * w + thread());
  totals.store(thread(), total);
}

Grid grid(const Rows& r) {
  const int64_t at_once = kThreads >> r.shift;
  return {(r.rows + at_once - 1) / at_once};
}

template <typename Label>
void xent(const float* x, Global<const Label> labels, double* totals, float* dx, int64_t rows, int64_t classes,
          void* stream) {
  launch("softmax_xent", xent_kernel<Label>, {}, kXentThreads, 2 * kXentWarps * int(sizeof(double)), Stream(stream),
         rows_of(rows, classes), global(x, rows * classes), labels, global(totals, 2), global(dx, rows * classes));
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

void softmax_xent(const float* x, const float* labels, double* totals, float* dx, int64_t rows, int64_t classes,
                  void* stream) {
  xent(x, global(labels, rows * classes), totals, dx, rows, classes, stream);
}

void softmax_xent(const float* x, const int32_t* labels, double* totals, float* dx, int64_t rows, int64_t classes,
                  void* stream) {
  xent(x, global(labels, rows), totals, dx, rows, classes, stream);
}

}  // namespace fastconv::cuda
