// Clipping of gradients on the GPU. Bound by memory; sums are cut by the ranges' lengths and merged in order.
#include <cmath>

#include "common/elementwise.cuh"
#include "optimizer/clip.h"
#include "optimizer/ranges.cuh"
#include "optimizer/settings.h"

namespace fastconv::cuda {
namespace {

// As on the CPU (clip.cpp).
__device__ float clip_factor(double sum, float norm) {
  const double n = sqrt(sum);
  return n <= norm ? 1.0f : float(norm / n + (n - n));
}

__global__ void __launch_bounds__(kElementwiseThreads)
    sums_kernel(Ranges ranges, Global<const float> dw, Global<float> partial) {
  double sum = 0.0;
  ranges.for_each_element([&](int64_t i) { sum += double(dw.load(i)) * double(dw.load(i)); });
  ranges.store_sum(sum, partial);
}

__global__ void __launch_bounds__(kElementwiseThreads)
    scale_kernel(Ranges ranges, Global<float> dw, float norm, Global<const float> partial) {
  const Shared<float> shared_factor = shared<float>(0, 1);
  if (warp() == 0) {
    const double sum = ranges.sum_of_parts(partial);
    if (lane() == 0) shared_factor.store(0, clip_factor(sum, norm));
  }
  sync();
  const float factor = shared_factor.load(0);
  if (factor == 1.0f) return;
  ranges.for_each_element([&](int64_t i) {
    const float x = dw.load(i);
    dw.store(i, x == 0.0f ? x : x * factor);  // 0 stays where factor is NaN
  });
}

__global__ void __launch_bounds__(kElementwiseThreads)
    clip_by_value_kernel(Global<float> dw, float limit, int64_t count) {
  for_each_element(count, [&](int64_t i) {
    const float x = dw.load(i);
    dw.store(i, x > limit ? limit : x < -limit ? -limit : x);  // NaN stays NaN
  });
}

}  // namespace

size_t clip_by_norm_workspace_bytes(int64_t ranges) { return size_t(ranges * Ranges::kParts) * sizeof(float); }

void clip_by_norm(float* dw, int64_t size, const int64_t* bounds, int64_t ranges, float norm, float* partial,
                  void* stream) {
  check_positive(norm, "clip_by_norm", "norm");
  if (ranges == 0) return;
  const Ranges r = {global(bounds, 2 * ranges)};
  const Grid grid = {Ranges::kParts, ranges};
  const auto parts = global(partial, ranges * Ranges::kParts);
  launch("clip_sums", sums_kernel, grid, kElementwiseThreads, kBlockSumBytes, Stream(stream), r,
         global<const float>(dw, size), parts);
  launch("clip_scale", scale_kernel, grid, kElementwiseThreads, int(sizeof(float)), Stream(stream), r, global(dw, size),
         norm, global<const float>(partial, ranges * Ranges::kParts));
}

void clip_by_value(float* dw, int64_t count, float limit, void* stream) {
  check_positive(limit, "clip_by_value", "limit");
  launch("clip_by_value", clip_by_value_kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream),
         global(dw, count), limit, count);
}

}  // namespace fastconv::cuda
