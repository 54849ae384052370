// f32v for AVX2 with FMA: 8 lanes, 16 registers. See simd.h for what each function does.
#pragma once
#include <immintrin.h>

namespace fastconv::FASTCONV_ISA {
namespace {

using f32v = __m256;
constexpr int kLanes = 8;

inline __m256i first_lanes(int n) noexcept {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline f32v zero() noexcept { return _mm256_setzero_ps(); }
inline f32v broadcast(float a) noexcept { return _mm256_set1_ps(a); }
inline f32v load(const float* p) noexcept { return _mm256_loadu_ps(p); }
inline void store(float* p, f32v v) noexcept { _mm256_storeu_ps(p, v); }
inline f32v load_partial(const float* p, int n) noexcept { return _mm256_maskload_ps(p, first_lanes(n)); }
inline void store_partial(float* p, f32v v, int n) noexcept { _mm256_maskstore_ps(p, first_lanes(n), v); }
inline f32v add(f32v a, f32v b) noexcept { return _mm256_add_ps(a, b); }
inline f32v sub(f32v a, f32v b) noexcept { return _mm256_sub_ps(a, b); }
inline f32v mul(f32v a, f32v b) noexcept { return _mm256_mul_ps(a, b); }
inline f32v div(f32v a, f32v b) noexcept { return _mm256_div_ps(a, b); }
inline f32v fma(f32v a, f32v b, f32v c) noexcept { return _mm256_fmadd_ps(a, b, c); }
inline f32v sqrt(f32v a) noexcept { return _mm256_sqrt_ps(a); }
inline f32v max(f32v a, f32v b) noexcept { return _mm256_max_ps(a, b); }
inline f32v min(f32v a, f32v b) noexcept { return _mm256_min_ps(a, b); }
inline f32v where_positive(f32v x, f32v a, f32v b) noexcept {
  return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ));
}
inline f32v where_above(f32v x, f32v y, f32v a, f32v b) noexcept {
  return _mm256_blendv_ps(b, a, _mm256_and_ps(_mm256_cmp_ps(y, y, _CMP_ORD_Q), _mm256_cmp_ps(x, y, _CMP_NLE_UQ)));
}
inline f32v where_equal(f32v x, f32v y, f32v a, f32v b) noexcept {
  return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, y, _CMP_EQ_OQ));
}

inline f32v pow2(f32v n) noexcept {
  const f32v biased = _mm256_add_ps(n, _mm256_set1_ps(kExponentToBits));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(biased), 23));
}
inline f32v split(f32v x, f32v& n) noexcept {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i exponent = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(kSqrtHalfBits)), 23);
  n = _mm256_cvtepi32_ps(exponent);
  return _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(exponent, 23)));
}

inline f32v zip_low(f32v a, f32v b) noexcept {
  return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20);
}
inline f32v zip_high(f32v a, f32v b) noexcept {
  return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31);
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
