// Parameter updates on the GPU, with the arithmetic of optimizer_simd.cpp. Bound by memory.
#include <cmath>

#include "common/elementwise.cuh"
#include "optimizer/settings.h"

namespace fastconv::cuda {
namespace {

// base^exponent by squaring: some 20 products where pow takes hundreds of instructions.
__device__ double power(double base, int64_t exponent) {
  double result = 1.0;
  for (; exponent > 0; exponent >>= 1, base *= base)
    if (exponent & 1) result *= base;
  return result;
}

__global__ void __launch_bounds__(kElementwiseThreads)
    adam_kernel(Global<float> w, Global<const float> dw, Global<float> m, Global<float> v,
                Global<const float> learning_rate, Global<const int64_t> step, double beta_1, double beta_2,
                AdamStep settings, int64_t count) {
  const Shared<float> alpha = shared<float>(0, 1);
  if (thread() == 0) {
    const int64_t t = step.load(0);
    alpha.store(0, float(double(learning_rate.load(0)) * sqrt(1.0 - power(beta_2, t)) / (1.0 - power(beta_1, t))));
  }
  sync();
  settings.alpha = alpha.load(0);
  for_each_element(count, [&](int64_t i) {
    const float gradient = dw.load(i), old_w = w.load(i), old_m = m.load(i), old_v = v.load(i);
    const float new_m = fmaf(gradient - old_m, settings.one_minus_beta_1, old_m);
    const float new_v = fmaf(gradient * gradient - old_v, settings.one_minus_beta_2, old_v);
    m.store(i, new_m);
    v.store(i, new_v);
    w.store(i, old_w - settings.alpha * new_m / (sqrtf(new_v) + settings.epsilon));
  });
}

__global__ void __launch_bounds__(kElementwiseThreads)
    sgd_kernel(Global<float> w, Global<const float> dw, Global<float> velocity, Global<const float> learning_rate,
               float momentum, bool nesterov, int64_t count) {
  const float rate = -learning_rate.load(0);
  for_each_element(count, [&](int64_t i) {
    const float gradient = dw.load(i), old_w = w.load(i);
    if (!velocity) {
      w.store(i, fmaf(rate, gradient, old_w));
      return;
    }
    const float change = rate * gradient, new_velocity = fmaf(momentum, velocity.load(i), change);
    velocity.store(i, new_velocity);
    w.store(i, old_w + (nesterov ? fmaf(momentum, new_velocity, change) : new_velocity));
  });
}

}  // namespace

void adam_update(float* w, const float* dw, float* m, float* v, int64_t count, const float* learning_rate,
                 const int64_t* step, double beta_1, double beta_2, double epsilon, void* stream) {
  launch("adam_update", adam_kernel, elementwise_grid(count), kElementwiseThreads, int(sizeof(float)), Stream(stream),
         global(w, count), global(dw, count), global(m, count), global(v, count), global(learning_rate, 1),
         global(step, 1), beta_1, beta_2, adam_settings(beta_1, beta_2, epsilon), count);
}

void sgd_update(float* w, const float* dw, float* velocity, int64_t count, const float* learning_rate, float momentum,
                bool nesterov, void* stream) {
  launch("sgd_update", sgd_kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream), global(w, count),
         global(dw, count), global(velocity, count), global(learning_rate, 1), momentum, nesterov, count);
}

}  // namespace fastconv::cuda
