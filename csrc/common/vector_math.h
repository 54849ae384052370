// exp, expm1, log, log1p, tanh, erf and the logistic function, in the words of simd.h: one source for all processors.
// Largest errors in units of the last place, of every 37th float: exp 1.1, expm1 1.6, log 0.9, log1p 1.5, tanh 2.5,
// erf 1.1, logistic 2.6, its derivative 5. NaN gives NaN; what is denormal, or nearly so, counts as 0. Polynomials are
// minimax fits of the relative error (of erf beyond 1 the absolute one), coefficients rounded to float one by one.
#pragma once
#include "common/simd.h"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr float kLargest = 0x1.fffffep127f, kInfinity = __builtin_inff(), kNaN = __builtin_nanf("");
constexpr float kLog2High = 0x1.63p-1f,
                kLog2Low = -0x1.bd0106p-13f;  // their sum; products of the first with n are exact

// a + b * x + c * x^2 + ...
FASTCONV_INLINE f32v polynomial(f32v, float a) { return broadcast(a); }
template <typename... Rest>
FASTCONV_INLINE f32v polynomial(f32v x, float a, Rest... rest) {
  return fma(x, polynomial(x, rest...), broadcast(a));
}

FASTCONV_INLINE f32v negative(f32v x) { return sub(zero(), x); }
FASTCONV_INLINE f32v absolute(f32v x) { return max(x, negative(x)); }
FASTCONV_INLINE f32v clamp(f32v x, float low, float high) { return min(broadcast(high), max(broadcast(low), x)); }

// The nearest whole number, |x| < 2^22.
FASTCONV_INLINE f32v round(f32v x) {
  const f32v shift = broadcast(0x1.8p23f);
  return sub(add(x, shift), shift);
}

// e^r - 1 and n of e^x = 2^n * e^r, |r| <= log(2) / 2.
FASTCONV_INLINE f32v reduced_expm1(f32v x, f32v& n) {
  n = round(mul(x, broadcast(0x1.715476p0f)));
  const f32v r = fma(n, broadcast(-kLog2Low), fma(n, broadcast(-kLog2High), x));
  return fma(mul(r, r), polynomial(r, 0.5f, 1.6666539e-1f, 4.1666426e-2f, 8.367154e-3f, 1.3938716e-3f), r);
}

FASTCONV_INLINE f32v exp(f32v x) {
  const f32v clamped = clamp(x, -88.0f, 89.0f);
  f32v n;
  const f32v e = add(reduced_expm1(clamped, n), broadcast(1.0f));
  // n may be 128 or -127: one step towards 0 before, one back after.
  const f32v step = where_positive(x, broadcast(1.0f), broadcast(-1.0f));
  return mul(mul(e, pow2(sub(n, step))), where_positive(x, broadcast(2.0f), broadcast(0.5f)));
}

FASTCONV_INLINE f32v expm1(f32v x) {
  f32v n;
  const f32v e = reduced_expm1(clamp(x, -40.0f, 89.0f), n);
  const f32v half_scale = pow2(sub(n, broadcast(1.0f)));  // n may be 128
  return mul(fma(e, half_scale, sub(half_scale, broadcast(0.5f))), broadcast(2.0f));
}

// -Inf at 0, NaN below.
FASTCONV_INLINE f32v log(f32v x) {
  f32v n;
  const f32v f = sub(split(x, n), broadcast(1.0f)), square = mul(f, f);
  const f32v cubic = polynomial(f, 3.3333316e-1f, -2.5000826e-1f, 2.0002343e-1f, -1.6624011e-1f, 1.4179341e-1f,
                                -1.313256e-1f, 1.2897433e-1f, -7.8690976e-2f);
  f32v y = fma(n, broadcast(kLog2Low), mul(mul(f, square), cubic));
  y = add(f, fma(square, broadcast(-0.5f), y));
  y = fma(n, broadcast(kLog2High), y);
  y = where_positive(sub(x, broadcast(kLargest)), x, y);
  return where_positive(x, y, where_positive(negative(x), broadcast(kNaN), sub(x, broadcast(kInfinity))));
}

FASTCONV_INLINE f32v log1p(f32v x) {
  const f32v u = add(x, broadcast(1.0f));
  const f32v lost = div(sub(x, sub(u, broadcast(1.0f))), u);  // log(1 + x) - log(u)
  const f32v inside = mul(u, sub(broadcast(kLargest), u));    // not positive where u is 0 or Inf
  return add(log(u), where_positive(inside, lost, zero()));
}

FASTCONV_INLINE f32v tanh(f32v x) {
  const f32v e = expm1(mul(min(broadcast(10.0f), absolute(x)), broadcast(2.0f)));
  const f32v y = div(e, add(e, broadcast(2.0f)));
  return where_positive(x, y, negative(y));
}

// 1 / (1 + e^-x) and its derivative: both to a few ulp where they are small, too.
struct Logistic {
  f32v value, derivative;
};

FASTCONV_INLINE Logistic logistic(f32v x) {
  const f32v e = exp(negative(absolute(x))), larger = div(broadcast(1.0f), add(e, broadcast(1.0f)));
  const f32v smaller = mul(e, larger);
  return {where_positive(x, larger, smaller), mul(larger, smaller)};
}

FASTCONV_INLINE f32v erf(f32v x) {
  const f32v square = mul(x, x), t = min(broadcast(4.1f), absolute(x));  // 1 in float from there
  const f32v near = fma(x,
                        polynomial(square, 1.2837917e-1f, -3.761263e-1f, 1.1283618e-1f, -2.6855126e-2f, 5.190734e-3f,
                                   -8.0307614e-4f, 7.920368e-5f),
                        x);
  const f32v exponent = fma(
      t, polynomial(t, 1.2850386e-1f, 6.3575345e-1f, 1.0521599e-1f, -2.2860812e-2f, 3.2059313e-3f, -2.1289715e-4f), t);
  const f32v far = sub(broadcast(1.0f), exp(negative(exponent)));
  return where_positive(sub(broadcast(1.0f), t), near, where_positive(x, far, negative(far)));
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
