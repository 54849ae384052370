// The loops behind the measured limits. Built once per instruction set.
#include "common/simd.h"
#include "probe/probe.h"

namespace fastconv::FASTCONV_ISA {
namespace {

// Sums that wait for nobody: at least ports times latency (2 x 4 or 2 x 5 on x86, 4 x 4 on wide AArch64 cores), and few
// enough for 16 (scalar, AVX2) or 32 registers (AVX-512, NEON) beside the two operands.
constexpr int kSums = FASTCONV_TARGET == 3 || FASTCONV_TARGET == 1 ? 24 : 12;

}  // namespace

int64_t probe_fma(int64_t rounds, float factor, float* sum) noexcept {
  const f32v a = broadcast(factor);
  f32v sums[kSums];
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) sums[i] = broadcast(float(i + 1));
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i) sums[i] = fma(sums[i], a, a);  // goes to factor / (1 - factor): never denormal
  }
  f32v total = zero();
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) total = add(total, sums[i]);
  store_partial(sum, total, 1);
  return rounds * kSums * kLanes * 2;
}

void probe_scale(const float* x, float* y, float factor, int64_t begin, int64_t end) noexcept {
  const f32v a = broadcast(factor);
  for (int64_t i = begin; i < end; i += kLanes) store(y + i, mul(a, load(x + i)));
}

}  // namespace fastconv::FASTCONV_ISA
