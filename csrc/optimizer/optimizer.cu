// Parameter updates on the GPU, with the arithmetic of optimizer_simd.cpp. Bound by memory.
#include <cmath>

#include "common/elementwise.cuh"
#include "optimizer/ranges.cuh"
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
    adam_kernel(Global<float> w, Global<const float> dw, Global<float> m, Global<float> v, Global<float> v_hat,
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
    float second = new_v;
    if (v_hat) {
      const float old_v_hat = v_hat.load(i);
      second = old_v_hat > new_v ? old_v_hat : new_v;
      v_hat.store(i, second);
    }
    w.store(i, old_w - settings.alpha * new_m / (sqrtf(second) + settings.epsilon));
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

// Two blocks a multiprocessor: without a number ptxas spills on sm_80 to have eight.
__global__ void __launch_bounds__(kElementwiseThreads, 2)
    rmsprop_kernel(Global<float> w, Global<const float> dw, Global<float> velocity, Global<float> average,
                   Global<float> momentum_buffer, Global<const float> learning_rate, RmspropStep settings,
                   int64_t count) {
  const float rate = learning_rate.load(0);
  for_each_element(count, [&](int64_t i) {
    const float gradient = dw.load(i), old_w = w.load(i);
    const float new_velocity = fmaf(settings.rho, velocity.load(i), settings.one_minus_rho * (gradient * gradient));
    velocity.store(i, new_velocity);
    float denominator = new_velocity + settings.epsilon;
    if (average) {
      const float mean = fmaf(settings.rho, average.load(i), settings.one_minus_rho * gradient);
      average.store(i, mean);
      denominator = new_velocity - mean * mean + settings.epsilon;
    }
    float change = rate * gradient / sqrtf(denominator);
    if (momentum_buffer) {
      change = fmaf(settings.momentum, momentum_buffer.load(i), change);
      momentum_buffer.store(i, change);
    }
    w.store(i, old_w - change);
  });
}

__global__ void __launch_bounds__(kElementwiseThreads)
    decay_kernel(Ranges ranges, Global<float> w, Global<const float> learning_rate, double rate) {
  const float share = float(double(learning_rate.load(0)) * rate);
  ranges.for_each_element([&](int64_t i) {
    const float old_w = w.load(i);
    w.store(i, fmaf(-share, old_w, old_w));
  });
}

__global__ void __launch_bounds__(kElementwiseThreads)
    ema_kernel(Global<float> average, Global<float> w, Global<const int64_t> step, float momentum,
               int64_t overwrite_every, int64_t count) {
  const int64_t t = step.load(0);
  const float kept = t == 1 ? 0.0f : momentum;
  const bool overwrite = overwrite_every > 0 && t % overwrite_every == 0;
  for_each_element(count, [&](int64_t i) {
    const float mean = fmaf(kept, average.load(i), (1.0f - kept) * w.load(i));
    average.store(i, mean);
    if (overwrite) w.store(i, mean);
  });
}

}  // namespace

void adam_update(float* w, const float* dw, float* m, float* v, float* v_hat, int64_t count, const float* learning_rate,
                 const int64_t* step, double beta_1, double beta_2, double epsilon, void* stream) {
  launch("adam_update", adam_kernel, elementwise_grid(count), kElementwiseThreads, int(sizeof(float)), Stream(stream),
         global(w, count), global(dw, count), global(m, count), global(v, count), global(v_hat, count),
         global(learning_rate, 1), global(step, 1), beta_1, beta_2, adam_settings(beta_1, beta_2, epsilon), count);
}

void sgd_update(float* w, const float* dw, float* velocity, int64_t count, const float* learning_rate, float momentum,
                bool nesterov, void* stream) {
  launch("sgd_update", sgd_kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream), global(w, count),
         global(dw, count), global(velocity, count), global(learning_rate, 1), momentum, nesterov, count);
}

void rmsprop_update(float* w, const float* dw, float* velocity, float* average, float* momentum_buffer, int64_t count,
                    const float* learning_rate, double rho, double momentum, double epsilon, void* stream) {
  launch("rmsprop_update", rmsprop_kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream),
         global(w, count), global(dw, count), global(velocity, count), global(average, count),
         global(momentum_buffer, count), global(learning_rate, 1), rmsprop_settings(0.0f, rho, momentum, epsilon),
         count);
}

void decay_weights(float* w, int64_t size, const int64_t* bounds, int64_t ranges, const float* learning_rate,
                   double rate, void* stream) {
  if (ranges == 0) return;
  launch("decay_weights", decay_kernel, {Ranges::kParts, ranges}, kElementwiseThreads, 0, Stream(stream),
         Ranges{global(bounds, 2 * ranges)}, global(w, size), global(learning_rate, 1), rate);
}

void ema_update(float* average, float* w, int64_t count, const int64_t* step, double momentum, int64_t overwrite_every,
                void* stream) {
  launch("ema_update", ema_kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream),
         global(average, count), global(w, count), global(step, 1), float(momentum), overwrite_every, count);
}

}  // namespace fastconv::cuda
