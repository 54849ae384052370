// Losses of elements [begin, end). Built once per instruction set.
#include "loss/functions.h"
#include "loss/loss.h"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr int64_t kRun = 64 * kLanes;  // elements whose sum is float

double sum_of(f32v v, int n) noexcept {
  float lanes[kLanes];
  store(lanes, v);
  double sum = 0.0;
  for (int i = 0; i < n; ++i) sum += lanes[i];
  return sum;
}

struct Operands {
  const float *x, *target;
  float* dx;
  f32v label_scale, label_offset, scale;

  f32v smoothed(f32v y) const noexcept { return fma(y, label_scale, label_offset); }
};

template <bool kGradient, typename Function>
double run(const Function& f, const Operands& of, int64_t begin, int64_t end) noexcept {
  double sum = 0.0;
  int64_t i = begin;
  while (i + kLanes <= end) {
    const int64_t last = (end - i < kRun ? end : i + kRun) - kLanes;
    f32v values = zero();
    for (; i <= last; i += kLanes) {
      const f32v x = load(of.x + i), t = of.smoothed(load(of.target + i));
      values = add(values, f.value(x, t));
      if (kGradient) store(of.dx + i, mul(f.derivative(x, t), of.scale));
    }
    sum += sum_of(values, kLanes);
  }
  if (i == end) return sum;
  const int n = int(end - i);
  const f32v x = load_partial(of.x + i, n), t = of.smoothed(load_partial(of.target + i, n));
  if (kGradient) store_partial(of.dx + i, mul(f.derivative(x, t), of.scale), n);
  return sum + sum_of(f.value(x, t), n);
}

}  // namespace

double loss_range(const LossFunction& function, const float* x, const float* target, float smoothing, float scale,
                  float* dx, int64_t begin, int64_t end) noexcept {
  const Operands of = {x, target, dx, broadcast(1.0f - smoothing), broadcast(0.5f * smoothing), broadcast(scale)};
  double sum = 0.0;
  with_loss_function(function,
                     [&](const auto& f) { sum = dx ? run<true>(f, of, begin, end) : run<false>(f, of, begin, end); });
  return sum;
}

}  // namespace fastconv::FASTCONV_ISA
