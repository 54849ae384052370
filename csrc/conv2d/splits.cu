#include "common/cuda.cuh"
#include "conv2d/splits.cuh"

namespace fastconv::cuda {
namespace {

constexpr int kThreads = 256, kGroups = kThreads / kWarp;  // a warp adds every kGroups-th split of kWarp sums

template <class Number>
__global__ void __launch_bounds__(kThreads)
    add_partials_kernel(Global<const float> sums, int64_t splits, int64_t count, int64_t rest, Global<const float> bias,
                        int64_t columns, Global<Number> out, Global<float> out_rest) {
  const Shared<float> groups = shared<float>(0, kThreads);
  const int64_t i = block_x() * kWarp + lane(), all = count + rest;
  float sum = 0.0f;
  if (i < all)
    for (int64_t split = warp(); split < splits; split += kGroups) sum += sums.load(split * all + i);
  groups.store(thread(), sum);
  sync();
  if (warp() > 0 || i >= all) return;
  for (int group = 1; group < kGroups; ++group) sum += groups.load(group * kWarp + lane());
  if (i >= count)
    out_rest.store(i - count, sum);
  else
    out.store(i, bias ? sum + bias.load(i % columns) : sum);
}

}  // namespace

template <class Number>
void add_partials(const char* name, const Partials& p, const float* bias, int64_t columns, Number* out, float* out_rest,
                  void* stream) {
  const int64_t all = p.count + p.rest;
  launch(name, add_partials_kernel<Number>, {(all + kWarp - 1) / kWarp}, kThreads, kThreads * int(sizeof(float)),
         Stream(stream), global(p.sums, p.splits * all), p.splits, p.count, p.rest, global(bias, columns), columns,
         global(out, p.count), global(out_rest, p.rest));
}

template void add_partials(const char*, const Partials&, const float*, int64_t, float*, float*, void*);
template void add_partials(const char*, const Partials&, const float*, int64_t, BFloat16*, float*, void*);

}  // namespace fastconv::cuda
