// Penalties of elements [begin, end) and their gradient. Built once per instruction set. Bound by memory.
#include "optimizer/penalty.h"
#include "optimizer/vectors.h"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr int64_t kRun = 512;  // elements that are added in float

}  // namespace

double penalty_range(const float* w, float* dw, float l1, float l2, bool kept, int64_t begin, int64_t end) noexcept {
  const f32v first = broadcast(l1), second = broadcast(l2), slope = broadcast(2.0f * l2);
  const f32v up = broadcast(1.0f), down = broadcast(-1.0f);
  double total = 0.0;
  for (int64_t run = begin; run < end; run += kRun) {
    f32v sum = zero();
    for_each_vector(run, run + kRun < end ? run + kRun : end, [&](auto get, auto put) {
      const f32v x = get(w), minus = sub(zero(), x), size = max(x, minus);
      sum = fma(size, fma(second, size, first), sum);
      if (!dw) return;
      const f32v sign = where_positive(x, up, where_positive(minus, down, x));
      put(dw, add(kept ? get(dw) : zero(), fma(slope, x, mul(first, sign))));
    });
    float lanes[kLanes];
    store(lanes, sum);
    for (float lane : lanes) total += double(lane);
  }
  return total;
}

}  // namespace fastconv::FASTCONV_ISA
