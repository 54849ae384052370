// f32v for AVX-512 (F, BW, DQ, VL): 16 lanes, 32 registers. See simd.h for what each function does.
#pragma once
#include <immintrin.h>

namespace fastconv::FASTCONV_ISA {
namespace {

using f32v = __m512;
constexpr int kLanes = 16;

inline __mmask16 first_lanes(int n) noexcept { return __mmask16((1u << n) - 1u); }

inline f32v zero() noexcept { return _mm512_setzero_ps(); }
inline f32v broadcast(float a) noexcept { return _mm512_set1_ps(a); }
inline f32v load(const float* p) noexcept { return _mm512_loadu_ps(p); }
inline void store(float* p, f32v v) noexcept { _mm512_storeu_ps(p, v); }
inline f32v load_partial(const float* p, int n) noexcept { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
inline void store_partial(float* p, f32v v, int n) noexcept { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
inline f32v add(f32v a, f32v b) noexcept { return _mm512_add_ps(a, b); }
inline f32v sub(f32v a, f32v b) noexcept { return _mm512_sub_ps(a, b); }
inline f32v mul(f32v a, f32v b) noexcept { return _mm512_mul_ps(a, b); }
inline f32v div(f32v a, f32v b) noexcept { return _mm512_div_ps(a, b); }
inline f32v fma(f32v a, f32v b, f32v c) noexcept { return _mm512_fmadd_ps(a, b, c); }
inline f32v sqrt(f32v a) noexcept { return _mm512_sqrt_ps(a); }
inline f32v max(f32v a, f32v b) noexcept { return _mm512_max_ps(a, b); }
inline f32v min(f32v a, f32v b) noexcept { return _mm512_min_ps(a, b); }
inline f32v where_positive(f32v x, f32v a, f32v b) noexcept {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), b, a);
}
inline f32v where_above(f32v x, f32v y, f32v a, f32v b) noexcept {
  return _mm512_mask_blend_ps(_mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(y, y, _CMP_ORD_Q), x, y, _CMP_NLE_UQ), b, a);
}
inline f32v where_equal(f32v x, f32v y, f32v a, f32v b) noexcept {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_EQ_OQ), b, a);
}

inline f32v pow2(f32v n) noexcept {
  const f32v biased = _mm512_add_ps(n, _mm512_set1_ps(kExponentToBits));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(biased), 23));
}
inline f32v split(f32v x, f32v& n) noexcept {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i exponent = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(kSqrtHalfBits)), 23);
  n = _mm512_cvtepi32_ps(exponent);
  return _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(exponent, 23)));
}

inline f32v zip_low(f32v a, f32v b) noexcept {
  return _mm512_permutex2var_ps(a, _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), b);
}
inline f32v zip_high(f32v a, f32v b) noexcept {
  return _mm512_permutex2var_ps(a, _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), b);
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
