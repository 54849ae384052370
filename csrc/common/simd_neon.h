// f32v for AArch64 NEON (part of the baseline there): 4 lanes, 32 registers. See simd.h for what each function does.
#pragma once
#include <arm_neon.h>

namespace fastconv::FASTCONV_ISA {
namespace {

using f32v = float32x4_t;
constexpr int kLanes = 4;

inline f32v zero() noexcept { return vdupq_n_f32(0.0f); }
inline f32v broadcast(float a) noexcept { return vdupq_n_f32(a); }
inline f32v load(const float* p) noexcept { return vld1q_f32(p); }
inline void store(float* p, f32v v) noexcept { vst1q_f32(p, v); }
inline f32v load_partial(const float* p, int n) noexcept {
  float lanes[kLanes] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return vld1q_f32(lanes);
}
inline void store_partial(float* p, f32v v, int n) noexcept {
  float lanes[kLanes];
  vst1q_f32(lanes, v);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
inline f32v add(f32v a, f32v b) noexcept { return vaddq_f32(a, b); }
inline f32v sub(f32v a, f32v b) noexcept { return vsubq_f32(a, b); }
inline f32v mul(f32v a, f32v b) noexcept { return vmulq_f32(a, b); }
inline f32v div(f32v a, f32v b) noexcept { return vdivq_f32(a, b); }
inline f32v fma(f32v a, f32v b, f32v c) noexcept { return vfmaq_f32(c, a, b); }
inline f32v sqrt(f32v a) noexcept { return vsqrtq_f32(a); }
inline f32v max(f32v a, f32v b) noexcept { return vmaxq_f32(a, b); }
inline f32v min(f32v a, f32v b) noexcept { return vminq_f32(a, b); }
inline f32v where_positive(f32v x, f32v a, f32v b) noexcept { return vbslq_f32(vcgtq_f32(x, vdupq_n_f32(0.0f)), a, b); }
inline f32v pow2(f32v n) noexcept {
  return vreinterpretq_f32_s32(vshlq_n_s32(vreinterpretq_s32_f32(vaddq_f32(n, vdupq_n_f32(kExponentToBits))), 23));
}
inline f32v split(f32v x, f32v& n) noexcept {
  const int32x4_t bits = vreinterpretq_s32_f32(x);
  const int32x4_t exponent = vshrq_n_s32(vsubq_s32(bits, vdupq_n_s32(kSqrtHalfBits)), 23);
  n = vcvtq_f32_s32(exponent);
  return vreinterpretq_f32_s32(vsubq_s32(bits, vshlq_n_s32(exponent, 23)));
}
inline f32v where_above(f32v x, f32v y, f32v a, f32v b) noexcept {
  return vbslq_f32(vbicq_u32(vceqq_f32(y, y), vcleq_f32(x, y)), a, b);
}
inline f32v where_equal(f32v x, f32v y, f32v a, f32v b) noexcept { return vbslq_f32(vceqq_f32(x, y), a, b); }
inline f32v zip_low(f32v a, f32v b) noexcept { return vzip1q_f32(a, b); }
inline f32v zip_high(f32v a, f32v b) noexcept { return vzip2q_f32(a, b); }

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
