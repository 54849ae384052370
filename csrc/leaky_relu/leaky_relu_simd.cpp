// LeakyReLU and ReLU on elements [begin, end). Built once per instruction set. Bound by memory: one read, one write.
#include "common/simd.h"
#include "leaky_relu/leaky_relu.h"

namespace fastconv::FASTCONV_ISA {
namespace {

inline f32v leaky_relu(f32v x, f32v slope) noexcept { return where_positive(x, x, mul(x, slope)); }

// max returns its second operand where one is NaN, on x86 as in the vector extension's comparison.
inline f32v relu(f32v x) noexcept { return max(zero(), x); }

template <bool kRelu>
void forward(const float* x, float* y, float slope, int64_t begin, int64_t end) noexcept {
  const f32v s = broadcast(slope);
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    const f32v v = load(x + i);
    store(y + i, kRelu ? relu(v) : leaky_relu(v, s));
  }
  if (i < end) {
    const int n = int(end - i);
    const f32v v = load_partial(x + i, n);
    store_partial(y + i, kRelu ? relu(v) : leaky_relu(v, s), n);
  }
}

}  // namespace

void leaky_relu_forward_range(const float* x, float* y, float slope, int64_t begin, int64_t end) noexcept {
  if (slope == 0.0f)
    forward<true>(x, y, slope, begin, end);  // 0 * -Inf would be NaN
  else
    forward<false>(x, y, slope, begin, end);
}

void leaky_relu_backward_range(const float* dy, const float* x, float* dx, float slope, int64_t begin,
                               int64_t end) noexcept {
  const f32v s = broadcast(slope);
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    const f32v d = load(dy + i);
    store(dx + i, where_positive(load(x + i), d, mul(d, s)));
  }
  if (i < end) {
    const int n = int(end - i);
    const f32v d = load_partial(dy + i, n);
    store_partial(dx + i, where_positive(load_partial(x + i, n), d, mul(d, s)), n);
  }
}

}  // namespace fastconv::FASTCONV_ISA
