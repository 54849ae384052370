// f32v without processor-specific instructions: 4 lanes through the compiler's vector extension (GCC and Clang), which
// becomes SSE2 on the x86-64 baseline. See simd.h for what each function does.
#pragma once

namespace fastconv::FASTCONV_ISA {
namespace {

typedef float f32v __attribute__((vector_size(16)));
typedef int32_t i32v __attribute__((vector_size(16)));
typedef float f32v_unaligned __attribute__((vector_size(16), aligned(4), may_alias));
constexpr int kLanes = 4;

inline f32v zero() noexcept { return f32v{}; }
inline f32v broadcast(float a) noexcept { return f32v{a, a, a, a}; }
inline f32v load(const float* p) noexcept { return *reinterpret_cast<const f32v_unaligned*>(p); }
inline void store(float* p, f32v v) noexcept { *reinterpret_cast<f32v_unaligned*>(p) = v; }
inline f32v load_partial(const float* p, int n) noexcept {
  f32v v = {};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
inline void store_partial(float* p, f32v v, int n) noexcept {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}
inline f32v add(f32v a, f32v b) noexcept { return a + b; }
inline f32v sub(f32v a, f32v b) noexcept { return a - b; }
inline f32v mul(f32v a, f32v b) noexcept { return a * b; }
inline f32v div(f32v a, f32v b) noexcept { return a / b; }
inline f32v fma(f32v a, f32v b, f32v c) noexcept { return a * b + c; }
inline f32v sqrt(f32v a) noexcept {
  for (int i = 0; i < kLanes; ++i) a[i] = __builtin_sqrtf(a[i]);
  return a;
}
inline f32v max(f32v a, f32v b) noexcept { return a > b ? a : b; }
inline f32v min(f32v a, f32v b) noexcept { return a < b ? a : b; }
inline f32v where_positive(f32v x, f32v a, f32v b) noexcept { return x > zero() ? a : b; }
inline f32v pow2(f32v n) noexcept { return f32v(i32v(n + kExponentToBits) << 23); }
inline f32v split(f32v x, f32v& n) noexcept {
  const i32v exponent = (i32v(x) - kSqrtHalfBits) >> 23;
  n = __builtin_convertvector(exponent, f32v);
  return f32v(i32v(x) - (exponent << 23));
}
inline f32v where_above(f32v x, f32v y, f32v a, f32v b) noexcept { return (y == y) & ~(x <= y) ? a : b; }
inline f32v where_equal(f32v x, f32v y, f32v a, f32v b) noexcept { return x == y ? a : b; }
inline f32v zip_low(f32v a, f32v b) noexcept { return f32v{a[0], b[0], a[1], b[1]}; }
inline f32v zip_high(f32v a, f32v b) noexcept { return f32v{a[2], b[2], a[3], b[3]}; }

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
