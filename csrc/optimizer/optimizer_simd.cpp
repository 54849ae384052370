// Parameter updates on elements [begin, end). Built once per instruction set. Bound by memory.
#include "common/simd.h"
#include "optimizer/optimizer.h"

namespace fastconv::FASTCONV_ISA {
namespace {

// Calls body(i, load, store) for every vector of [begin, end); the last one is partial.
template <typename Body>
inline void for_each_vector(int64_t begin, int64_t end, Body&& body) noexcept {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes)
    body([i](const float* p) noexcept { return load(p + i); }, [i](float* p, f32v v) noexcept { store(p + i, v); });
  if (i < end) {
    const int n = int(end - i);
    body([i, n](const float* p) noexcept { return load_partial(p + i, n); },
         [i, n](float* p, f32v v) noexcept { store_partial(p + i, v, n); });
  }
}

}  // namespace

void adam_update_range(float* w, const float* dw, float* m, float* v, const AdamStep& step, int64_t begin,
                       int64_t end) noexcept {
  const f32v alpha = broadcast(step.alpha), epsilon = broadcast(step.epsilon);
  const f32v rate_m = broadcast(step.one_minus_beta_1), rate_v = broadcast(step.one_minus_beta_2);
  for_each_vector(begin, end, [&](auto get, auto put) {
    const f32v gradient = get(dw), old_m = get(m), old_v = get(v);
    const f32v new_m = fma(sub(gradient, old_m), rate_m, old_m);
    const f32v new_v = fma(sub(mul(gradient, gradient), old_v), rate_v, old_v);
    put(m, new_m);
    put(v, new_v);
    // partial vectors: the lanes outside divide 0 by epsilon and are not stored
    put(w, sub(get(w), div(mul(alpha, new_m), add(sqrt(new_v), epsilon))));
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

}  // namespace fastconv::FASTCONV_ISA
