// Rows of classes on the GPU, and the labels that belong to them: shared by the losses and metrics of classes. Lanes of a
// warp share a row; one that has no row joins in their shuffles.
#pragma once
#include <cmath>

#include "common/cuda.cuh"
#include "loss/sample_weights.cuh"

namespace fastconv::cuda {

constexpr int kSumThreads = 1024;       // of the one block whose totals need no memory but theirs
constexpr int64_t kClassesPerLane = 4;  // or more, in rows of more than a warp has lanes for

// Rows of `classes` numbers, 2^shift lanes each.
struct Rows {
  int64_t rows, classes;
  int shift;

  __host__ __device__ int lanes() const { return 1 << shift; }
  __device__ bool leads() const { return thread() % lanes() == 0; }

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

inline Rows rows_of(int64_t rows, int64_t classes) {
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

__device__ inline Largest largest_of(const Rows& r, Global<const float> x, int64_t first, int64_t classes) {
  Largest largest;
  r.for_each_class(classes, [&](int64_t c) { largest.add({x.load(first + c), c}); });
  largest.share(r);
  return largest;
}

// The labels as distributions.
__device__ inline float label_at(Global<const float> labels, const Rows& r, const SampleWeights& w, int64_t row,
                                 int64_t c) {
  return w.smoothed(labels.load(row * r.classes + c));
}
__device__ inline float label_at(Global<const int32_t> labels, const Rows& r, const SampleWeights& w, int64_t row,
                                 int64_t c) {
  const int32_t label = labels.load(row);
  if (label < 0 || label >= r.classes) return NAN;
  return w.smoothed(c == label ? 1.0f : 0.0f);
}

inline Global<const float> global_labels(const float* labels, int64_t rows, int64_t classes) {
  return global(labels, rows * classes);
}
inline Global<const int32_t> global_labels(const int32_t* labels, int64_t rows, int64_t) {
  return global(labels, rows);
}

}  // namespace fastconv::cuda
