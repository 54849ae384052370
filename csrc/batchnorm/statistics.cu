// From the sums of parts of a tensor to what batch normalization writes: statistics.cpp, in double and a fixed order.
#include <cmath>

#include "batchnorm/batchnorm.h"
#include "common/cuda.cuh"

namespace fastconv::cuda {
namespace {

// A block takes the channels of a sector of 32 bytes and cuts their parts into slices, one a thread.
constexpr int kThreads = 512, kChannels = 8, kSlices = kThreads / kChannels, kWarps = kThreads / kWarp;

struct Sums {
  double first = 0.0, second = 0.0;

  __device__ void add(const Sums& more) {
    first += more.first;
    second += more.second;
  }
};

// The sum of term(part) over all parts, in the first kChannels threads; of the thread's own channel.
template <typename Term>
__device__ Sums sum_parts(int64_t parts, Term&& term) {
  const Shared<Sums> warps = shared<Sums>(0, kWarps * kChannels);
  Sums sum;
  for (int64_t part = thread() / kChannels; part < parts; part += kSlices) sum.add(term(part));
  for (int mask = kChannels; mask < kWarp; mask *= 2) sum.add({shfl_xor(sum.first, mask), shfl_xor(sum.second, mask)});
  if (lane() < kChannels) warps.store(warp() * kChannels + lane(), sum);
  sync();
  if (thread() < kChannels)
    for (int other = 1; other < kWarps; ++other) sum.add(warps.load(other * kChannels + thread()));
  return sum;
}

struct Statistics {
  Global<float> mean, rstd, moving_mean, moving_variance;
  double momentum, epsilon;
};

struct Gradients {
  Global<float> dgamma, dbeta, slope_x, offset;
};

// With all means taken from that of the first part, the sums of n * d and n * d * d lose at most a factor of `parts` to
// cancellation, of 2^53.
__global__ void __launch_bounds__(kThreads)
    finish_statistics_kernel(Global<const float> partials, Global<const float> origin, int64_t parts,
                             int64_t rows_per_part, int64_t rows, int64_t channels, Statistics to) {
  const int64_t c = block_x() * kChannels + thread() % kChannels;
  const bool inside = c < channels;
  const double pivot = inside ? partials.load(c) : 0.0f;
  const Sums sum = sum_parts(inside ? parts : 0, [&](int64_t part) {
    const int64_t left = rows - part * rows_per_part;
    const double count = double(left < rows_per_part ? left : rows_per_part);
    const double d = partials.load(2 * part * channels + c) - pivot;
    return Sums{count * d, partials.load((2 * part + 1) * channels + c) + count * d * d};
  });
  if (thread() >= kChannels || !inside) return;
  const double start = origin ? origin.load(c) : 0.0f;
  const double shift = sum.first / double(rows), mean = start + pivot + shift, m2 = sum.second - sum.first * shift;
  const double variance = (m2 < 0.0 ? 0.0 : m2) / double(rows);
  to.mean.store(c, float(mean));
  to.rstd.store(c, float(1.0 / sqrt(variance + to.epsilon)));
  to.moving_mean.store(c, float(to.moving_mean.load(c) * to.momentum + mean * (1.0 - to.momentum)));
  to.moving_variance.store(c, float(to.moving_variance.load(c) * to.momentum + variance * (1.0 - to.momentum)));
}

__global__ void __launch_bounds__(kThreads)
    finish_gradients_kernel(Global<const float> partials, int64_t parts, int64_t rows, int64_t channels,
                            Global<const float> rstd, Global<const float> gamma, Gradients to) {
  const int64_t c = block_x() * kChannels + thread() % kChannels;
  const bool inside = c < channels;
  const Sums sum = sum_parts(inside ? parts : 0, [&](int64_t part) {
    return Sums{partials.load(2 * part * channels + c), partials.load((2 * part + 1) * channels + c)};
  });
  if (thread() >= kChannels || !inside) return;
  const double channel_rstd = rstd.load(c), scale = channel_rstd * (gamma ? gamma.load(c) : 1.0f);
  const double dgamma = sum.second * channel_rstd;
  if (to.dbeta) to.dbeta.store(c, float(sum.first));
  if (to.dgamma) to.dgamma.store(c, float(dgamma));
  to.slope_x.store(c, float(-scale * channel_rstd * dgamma / double(rows)));
  to.offset.store(c, float(-scale * sum.first / double(rows)));
}

Grid finish_grid(int64_t channels) { return {(channels + kChannels - 1) / kChannels}; }

constexpr int kSharedBytes = kWarps * kChannels * int(sizeof(Sums));

}  // namespace

void batchnorm_finish_statistics(const float* partials, const float* origin, int64_t parts, int64_t rows_per_part,
                                 int64_t rows, int64_t channels, const BatchNormStatistics& to, void* stream) {
  const Statistics outputs = {global(to.mean, channels),
                              global(to.rstd, channels),
                              global(to.moving_mean, channels),
                              global(to.moving_variance, channels),
                              to.momentum,
                              to.epsilon};
  launch("batchnorm_finish_statistics", finish_statistics_kernel, finish_grid(channels), kThreads, kSharedBytes,
         Stream(stream), global(partials, 2 * parts * channels), global(origin, channels), parts, rows_per_part, rows,
         channels, outputs);
}

void batchnorm_finish_gradients(const float* partials, int64_t parts, int64_t rows, int64_t channels, const float* rstd,
                                const float* gamma, const BatchNormGradients& to, void* stream) {
  const Gradients outputs = {global(to.dgamma, channels), global(to.dbeta, channels), global(to.slope_x, channels),
                             global(to.offset, channels)};
  launch("batchnorm_finish_gradients", finish_gradients_kernel, finish_grid(channels), kThreads, kSharedBytes,
         Stream(stream), global(partials, 2 * parts * channels), parts, rows, channels, global(rstd, channels),
         global(gamma, channels), outputs);
}

}  // namespace fastconv::cuda
