// Losses of elements on the GPU. One block writes the totals; of more, each leaves its sums for another kernel.
#include <type_traits>

#include "common/block_sum.cuh"
#include "common/elementwise.cuh"
#include "loss/functions.h"
#include "loss/loss.h"
#include "loss/sample_weights.cuh"

namespace fastconv::cuda {
namespace {

constexpr int kFinishThreads = 256;
constexpr int64_t kMostBlocks = 132 * 8;
constexpr int kPartial = 2 * 2;  // floats that a block leaves: two sums

int64_t loss_blocks(int64_t count) {
  const int64_t blocks = elementwise_grid(count).x;
  return blocks < kMostBlocks ? blocks : kMostBlocks;
}

// A double as two floats, which hold 48 bits of it.
__device__ void store_double(Global<float> to, int64_t i, double value) {
  const float high = float(value);
  to.store(2 * i, high);
  to.store(2 * i + 1, high - high == 0.0f ? float(value - high) : 0.0f);
}
__device__ double load_double(Global<float> from, int64_t i) {
  return double(from.load(2 * i)) + double(from.load(2 * i + 1));
}

template <typename Function>
__global__ void __launch_bounds__(kElementwiseThreads)
    loss_kernel(Function function, SampleWeights weights, Global<const float> x, Global<const float> target,
                Global<float> dx, Global<float> partials, Global<double> totals, int64_t count) {
  double sums[2] = {0.0, 0.0};
  const double share = weights.weight / double(count);
  for_each_element(count, [&](int64_t i) {
    const double weight = weights.of(i);
    const float value = x.load(i), t = weights.smoothed(target.load(i));
    sums[0] += weight * function.value(value, t);
    if (dx) dx.store(i, function.derivative(value, t) * float(share * weight));
  });
  for_each_element(count / weights.items, [&](int64_t i) { sums[1] += weights.of(i * weights.items); });
  const double sum = block_sum(sums);
  if (thread() >= 2) return;
  if (blocks_x() == 1)
    totals.store(thread(), thread() == 0 ? sum / double(weights.items) : sum);
  else
    store_double(partials, 2 * block_x() + thread(), sum);
}

__global__ void __launch_bounds__(kFinishThreads)
    finish_kernel(Global<float> partials, int64_t parts, int64_t items, Global<double> totals) {
  double sums[2] = {0.0, 0.0};
  for (int64_t part = thread(); part < parts; part += threads())
    for (int i = 0; i < 2; ++i) sums[i] += load_double(partials, 2 * part + i);
  const double sum = block_sum(sums);
  if (thread() < 2) totals.store(thread(), thread() == 0 ? sum / double(items) : sum);
}

}  // namespace

size_t loss_workspace_bytes(int64_t count) {
  const int64_t blocks = loss_blocks(count);
  return blocks == 1 ? 0 : size_t(blocks) * kPartial * sizeof(float);
}

void loss(const LossFunction& function, const float* x, const float* target, const LossSettings& settings,
          double* totals, float* dx, int64_t count, float* workspace, void* stream) {
  const int64_t blocks = loss_blocks(count), partials = blocks * kPartial;
  with_loss_function(function, [&](const auto& f) {
    using Function = std::decay_t<decltype(f)>;
    launch("loss", loss_kernel<Function>, {blocks}, kElementwiseThreads, block_sum_bytes(2, kElementwiseThreads),
           Stream(stream), f, sample_weights(settings, count, 2), global(x, count), global(target, count),
           global(dx, count), global(workspace, partials), global(totals, 2), count);
  });
  if (blocks > 1)
    launch("loss_finish", finish_kernel, {}, kFinishThreads, block_sum_bytes(2, kFinishThreads), Stream(stream),
           global(workspace, partials), blocks, count / settings.samples, global(totals, 2));
}

}  // namespace fastconv::cuda
