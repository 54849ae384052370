#include "batchnorm/batchnorm.cuh"
#include "conv2d/backward.cuh"

namespace fastconv::cuda {
namespace {

constexpr int kThreads = 256,
              kGroups = kThreads / kWarp;  // a warp adds every kGroups-th block's sums of kWarp numbers of dw

struct Sums {
  double dz = 0.0, x = 0.0, p = 0.0;

  __device__ void add(const Sums& more) {
    dz += more.dz;
    x += more.x;
    p += more.p;
  }
};

// In double: where the input is far from 0 the terms cancel. Two blocks a multiprocessor, since doubles take registers.
__global__ void __launch_bounds__(kThreads, 2)
    finish_source_kernel(Global<const float> sums, int64_t blocks, int64_t entries, int64_t channels, Norm norm,
                         Global<const float> slope_x, Global<const float> offset, Global<float> dw) {
  const Shared<Sums> groups = shared<Sums>(0, kThreads);
  const int64_t i = block_x() * kWarp + lane(), entry = i / channels, c = i % channels;
  const int64_t block_floats = entries * (2 * channels + 1);
  Sums sum;
  if (entry < entries)
    for (int64_t block = warp(); block < blocks; block += kGroups) {
      const int64_t at = block * block_floats, of_entry = at + 2 * entry * channels + c;
      sum.add({sums.load(of_entry), sums.load(of_entry + channels), sums.load(at + 2 * entries * channels + entry)});
    }
  groups.store(thread(), sum);
  sync();
  if (warp() > 0 || entry >= entries) return;
  for (int group = 1; group < kGroups; ++group) sum.add(groups.load(group * kWarp + lane()));
  const double scale = double(norm.rstd.load(c)) * (norm.gamma ? norm.gamma.load(c) : 1.0f);
  dw.store(i, float(scale * sum.dz + slope_x.load(c) * sum.x + offset.load(c) * sum.p));
}

}  // namespace

void finish_source(const SourcePartials& p, const BatchNormTransform& t, const BatchNormGradients& gradients, float* dw,
                   void* stream) {
  const int64_t count = p.entries * p.channels;
  const auto coefficient = [&](const float* data) { return global(data, p.channels); };
  launch("conv2d_backward_source", finish_source_kernel, {(count + kWarp - 1) / kWarp}, kThreads,
         kThreads * int(sizeof(Sums)), Stream(stream), global(p.sums, p.blocks * p.entries * (2 * p.channels + 1)),
         p.blocks, p.entries, p.channels, norm(&t, p.channels), coefficient(gradients.slope_x),
         coefficient(gradients.offset), global(dw, count));
}

}  // namespace fastconv::cuda
