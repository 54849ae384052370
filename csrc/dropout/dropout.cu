// Dropout on the GPU: a thread draws the four numbers of a counter and takes the four elements that they are for.
#include "common/elementwise.cuh"
#include "dropout/philox.h"
#include "dropout/settings.h"

namespace fastconv::cuda {
namespace {

template <class Number>
__global__ void __launch_bounds__(kElementwiseThreads)
    dropout_kernel(Global<const Number> x, Global<const int64_t> seed, Global<const int64_t> step, Global<Number> y,
                   DropoutSettings settings, bool aligned, int64_t count) {
  settings.seed = uint64_t(seed.load(0));
  settings.step = uint32_t(uint64_t(step.load(0)));
  for_each_element((count + 3) / 4, [&](int64_t block) {
    const Words random = philox(settings.seed, settings.stream, settings.step, uint64_t(block));
    const auto dropped = [&](float value, int k) {
      return float(random.v[k] >> 8) > settings.last_dropped ? value * settings.scale : 0.0f;
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
