// Penalties of weights on the GPU. Bound by memory; sums are cut by the ranges' lengths and merged in order.
#include <cmath>

#include "common/elementwise.cuh"
#include "optimizer/penalty.h"
#include "optimizer/ranges.cuh"

namespace fastconv::cuda {
namespace {

__global__ void __launch_bounds__(kElementwiseThreads)
    penalty_kernel(Ranges ranges, Global<const float> w, Global<float> dw, Global<const float> rates,
                   Global<float> partial) {
  const float l1 = rates.load(3 * block_y()), l2 = rates.load(3 * block_y() + 1);
  const bool kept = rates.load(3 * block_y() + 2) != 0.0f;
  double sum = 0.0;
  ranges.for_each_element([&](int64_t i) {
    const float x = w.load(i), size = fabsf(x);
    sum += double(size) * double(fmaf(l2, size, l1));
    if (!dw) return;
    const float sign = x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x;
    dw.store(i, (kept ? dw.load(i) : 0.0f) + fmaf(2.0f * l2, x, l1 * sign));
  });
  ranges.store_sum(sum, partial);
}

__global__ void __launch_bounds__(kElementwiseThreads)
    total_kernel(Global<const float> partial, int64_t count, double samples, Global<double> total) {
  double sum = 0.0;
  for (int64_t i = thread(); i < count; i += threads()) sum += double(partial.load(i));
  sum = sum_of_block(sum);
  if (thread() == 0) total.store(0, samples * sum);
}

}  // namespace

size_t penalty_workspace_bytes(int64_t ranges) { return size_t(ranges * Ranges::kParts) * sizeof(float); }

void penalty(const float* w, float* dw, int64_t size, const int64_t* bounds, const float* rates, int64_t ranges,
             int64_t samples, double* total, float* partial, void* stream) {
  const int64_t parts = ranges * Ranges::kParts;
  if (ranges > 0)
    launch("penalty", penalty_kernel, {Ranges::kParts, ranges}, kElementwiseThreads, kBlockSumBytes, Stream(stream),
           Ranges{global(bounds, 2 * ranges)}, global(w, size), global(dw, size), global(rates, 3 * ranges),
           global(partial, parts));
  launch("penalty_total", total_kernel, {}, kElementwiseThreads, kBlockSumBytes, Stream(stream),
         global<const float>(partial, parts), parts, double(samples), global(total, 1));
}

}  // namespace fastconv::cuda
