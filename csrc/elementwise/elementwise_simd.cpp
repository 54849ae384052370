// Elementwise kernels on elements [begin, end). Built once per instruction set. Bound by memory.
#include "common/simd.h"
#include "elementwise/elementwise.h"

namespace fastconv::FASTCONV_ISA {
namespace {

// 0 * x is 0 for finite x and NaN otherwise, and a sum keeps a NaN: one instruction a vector, one look a block.
constexpr int kSums = 4;
constexpr int64_t kBlock = 64 * kSums * kLanes;

bool any_nan(f32v v) noexcept {
  float lanes[kLanes];
  store(lanes, v);
  bool found = false;
  for (int i = 0; i < kLanes; ++i) found |= lanes[i] != lanes[i];
  return found;
}

bool all_finite(const float* x) noexcept {
  f32v sum[kSums] = {zero(), zero(), zero(), zero()};
  for (int64_t i = 0; i < kBlock; i += kSums * kLanes)
    for (int v = 0; v < kSums; ++v) sum[v] = fma(load(x + i + v * kLanes), zero(), sum[v]);
  return !any_nan(add(add(sum[0], sum[1]), add(sum[2], sum[3])));
}

}  // namespace

void add_forward_range(const float* a, const float* b, float* y, int64_t begin, int64_t end) noexcept {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) store(y + i, add(load(a + i), load(b + i)));
  if (i < end) {
    const int n = int(end - i);
    store_partial(y + i, add(load_partial(a + i, n), load_partial(b + i, n)), n);
  }
}

int64_t first_non_finite_range(const float* x, int64_t begin, int64_t end) noexcept {
  int64_t i = begin;
  while (i + kBlock <= end && all_finite(x + i)) i += kBlock;
  while (i < end && x[i] - x[i] == 0.0f) ++i;
  return i;
}

}  // namespace fastconv::FASTCONV_ISA
