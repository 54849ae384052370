// Parameter updates on elements [begin, end). Built once per instruction set. Bound by memory.
#include "optimizer/optimizer.h"
#include "optimizer/vectors.h"

namespace fastconv::FASTCONV_ISA {

void adam_update_range(float* w, const float* dw, float* m, float* v, float* v_hat, const AdamStep& step, int64_t begin,
                       int64_t end) noexcept {
  const f32v alpha = broadcast(step.alpha), epsilon = broadcast(step.epsilon);
  const f32v rate_m = broadcast(step.one_minus_beta_1), rate_v = broadcast(step.one_minus_beta_2);
  for_each_vector(begin, end, [&](auto get, auto put) {
    const f32v gradient = get(dw), old_m = get(m), old_v = get(v);
    const f32v new_m = fma(sub(gradient, old_m), rate_m, old_m);
    const f32v new_v = fma(sub(mul(gradient, gradient), old_v), rate_v, old_v);
    put(m, new_m);
    put(v, new_v);
    f32v second = new_v;
    if (v_hat) {
      second = max(get(v_hat), new_v);
      put(v_hat, second);
    }
    // partial vectors: the lanes outside divide 0 by epsilon and are not stored
    put(w, sub(get(w), div(mul(alpha, new_m), add(sqrt(second), epsilon))));
  });
}

void sgd_update_range(float* w, const float* dw, float* velocity, float learning_rate, float momentum, bool nesterov,
                      int64_t begin, int64_t end) noexcept {
  const f32v rate = broadcast(-learning_rate), mu = broadcast(momentum);
  if (!velocity)
    for_each_vector(begin, end, [&](auto get, auto put) { put(w, fma(rate, get(dw), get(w))); });
  else
    for_each_vector(begin, end, [&](auto get, auto put) {
      const f32v change = mul(rate, get(dw)), new_velocity = fma(mu, get(velocity), change);
      put(velocity, new_velocity);
      put(w, add(get(w), nesterov ? fma(mu, new_velocity, change) : new_velocity));
    });
}

void rmsprop_update_range(float* w, const float* dw, float* velocity, float* average, float* momentum_buffer,
                          const RmspropStep& step, int64_t begin, int64_t end) noexcept {
  const f32v rate = broadcast(step.learning_rate), rho = broadcast(step.rho), mu = broadcast(step.momentum);
  const f32v one_minus_rho = broadcast(step.one_minus_rho), epsilon = broadcast(step.epsilon);
  for_each_vector(begin, end, [&](auto get, auto put) {
    const f32v gradient = get(dw);
    const f32v new_velocity = fma(rho, get(velocity), mul(one_minus_rho, mul(gradient, gradient)));
    put(velocity, new_velocity);
    f32v denominator = add(new_velocity, epsilon);
    if (average) {
      const f32v mean = fma(rho, get(average), mul(one_minus_rho, gradient));
      put(average, mean);
      denominator = add(sub(new_velocity, mul(mean, mean)), epsilon);
    }
    f32v change = div(mul(rate, gradient), sqrt(denominator));
    if (momentum_buffer) {
      change = fma(mu, get(momentum_buffer), change);
      put(momentum_buffer, change);
    }
    put(w, sub(get(w), change));
  });
}

void decay_weights_range(float* w, float share, int64_t begin, int64_t end) noexcept {
  const f32v factor = broadcast(-share);
  for_each_vector(begin, end, [&](auto get, auto put) { put(w, fma(factor, get(w), get(w))); });
}

void ema_update_range(float* average, float* w, float momentum, bool overwrite, int64_t begin, int64_t end) noexcept {
  const f32v kept = broadcast(momentum), taken = broadcast(1.0f - momentum);
  for_each_vector(begin, end, [&](auto get, auto put) {
    const f32v mean = fma(kept, get(average), mul(taken, get(w)));
    put(average, mean);
    if (overwrite) put(w, mean);
  });
}

}  // namespace fastconv::FASTCONV_ISA
