// Dropout on the GPU: a thread draws the four numbers of a counter and takes the four elements that they are for.
#include "common/elementwise.cuh"
#include "dropout/settings.h"

namespace fastconv::cuda {
namespace {

// The top 24 bits of each word of Philox4x32-10, as whole numbers.
__device__ Float4 philox(const DropoutSettings& settings, uint64_t block) {
  constexpr uint32_t kA = 0xD2511F53u, kB = 0xCD9E8D57u;
  constexpr int kRounds = 10;
  uint32_t c[4] = {uint32_t(block), uint32_t(block >> 32), settings.step, settings.stream};
  uint32_t key_0 = uint32_t(settings.seed), key_1 = uint32_t(settings.seed >> 32);
  for (int round = 0; round < kRounds; ++round, key_0 += 0x9E3779B9u, key_1 += 0xBB67AE85u) {
    const uint32_t a = c[0], b = c[2];
    c[0] = multiply_high(kB, b) ^ c[1] ^ key_0;
    c[1] = kB * b;
    c[2] = multiply_high(kA, a) ^ c[3] ^ key_1;
    c[3] = kA * a;
  }
  return {{float(c[0] >> 8), float(c[1] >> 8), float(c[2] >> 8), float(c[3] >> 8)}};
}

template <class Number>
__global__ void __launch_bounds__(kElementwiseThreads)
    dropout_kernel(Global<const Number> x, Global<const int64_t> seed, Global<const int64_t> step, Global<Number> y,
                   DropoutSettings settings, bool aligned, int64_t count) {
  settings.seed = uint64_t(seed.load(0));
  settings.step = uint32_t(uint64_t(step.load(0)));
  for_each_element((count + 3) / 4, [&](int64_t block) {
    const Float4 random = philox(settings, uint64_t(block));
    const auto dropped = [&](float value, int k) {
      return random.v[k] > settings.last_dropped ? value * settings.scale : 0.0f;
    };
    const int64_t first = 4 * block;
    if (aligned && first + 4 <= count) {
      Float4 values = x.load4(first);
#pragma unroll
      for (int k = 0; k < 4; ++k) values.v[k] = dropped(values.v[k], k);
      y.store4(first, values);
      return;
    }
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (first + k < count) y.store(first + k, dropped(x.load(first + k), k));
  });
}

}  // namespace

template <class Number>
void dropout_forward(const Number* x, const int64_t* seed, const int64_t* step, Number* y, double rate, int64_t stream,
                     int64_t count, void* cuda_stream) {
  const bool aligned = (reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y)) % (4 * sizeof(Number)) == 0;
  launch("dropout", dropout_kernel<Number>, elementwise_grid((count + 3) / 4), kElementwiseThreads, 0,
         Stream(cuda_stream), global(x, count), global(seed, 1), global(step, 1), global(y, count),
         dropout_settings(rate, stream), aligned, count);
}

template void dropout_forward(const float*, const int64_t*, const int64_t*, float*, double, int64_t, int64_t, void*);
template void dropout_forward(const BFloat16*, const int64_t*, const int64_t*, BFloat16*, double, int64_t, int64_t,
                              void*);

}  // namespace fastconv::cuda
