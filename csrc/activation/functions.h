// The activations and their derivatives, in the words of common/simd.h: compiled for every instruction set and for the
// GPU. A NaN gives NaN in every value.
#pragma once
#include "activation/activation.h"
#include "common/vector_math.h"

namespace fastconv::FASTCONV_ISA {
namespace {

struct Linear {  // scale, offset
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction& f) {
    return fma(x, broadcast(f.a), broadcast(f.b));
  }
  static FASTCONV_INLINE f32v derivative(f32v, const ActivationFunction& f) { return broadcast(f.a); }
};

// Keras' ReLU; its gradient at the threshold is the slope, at max_value 1.
struct Relu {  // negative_slope, max_value, threshold
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction& f) {
    const f32v above = sub(x, broadcast(f.c));
    // Without a slope 0 or NaN, also at -Inf, where 0 * above would be NaN.
    const f32v below = where_positive(broadcast(f.a * f.a), mul(broadcast(f.a), above), max(zero(), above));
    return min(broadcast(f.b), where_positive(above, x, below));
  }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction& f) {
    const f32v inside = where_positive(sub(x, broadcast(f.b)), zero(), broadcast(1.0f));
    return where_positive(sub(x, broadcast(f.c)), inside, broadcast(f.a));
  }
};

struct Elu {  // alpha
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction& f) {
    return where_positive(x, x, mul(broadcast(f.a), expm1(x)));
  }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction& f) {
    return where_positive(x, broadcast(1.0f), mul(broadcast(f.a), exp(x)));
  }
};

struct Selu {
  static constexpr float kScale = 1.05070098735548f, kScaleAlpha = 1.75809934084738f;

  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction&) {
    return where_positive(x, mul(broadcast(kScale), x), mul(broadcast(kScaleAlpha), expm1(x)));
  }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction&) {  // at 0 the larger x's, as in TensorFlow
    return where_positive(negative(x), mul(broadcast(kScaleAlpha), exp(x)), broadcast(kScale));
  }
};

struct Gelu {  // x times the normal distribution function of x
  static FASTCONV_INLINE f32v distribution(f32v x) {
    const f32v half = broadcast(0.5f);
    return fma(half, erf(mul(x, broadcast(0.70710678118655f))), half);
  }
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction&) { return mul(x, distribution(x)); }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction&) {
    const f32v density = mul(broadcast(0.39894228040143f), exp(mul(mul(x, x), broadcast(-0.5f))));
    return fma(x, density, distribution(x));
  }
};

struct GeluTanh {  // its approximation by 0.5 * (1 + tanh(u)), which is the logistic function of 2 * u
  static constexpr float kLinear = 1.5957691216057f, kCubic = 0.071354816272600f;  // 2 * sqrt(2 / pi), times 0.044715

  static FASTCONV_INLINE Logistic share(f32v x) {
    return logistic(mul(x, fma(mul(x, x), broadcast(kCubic), broadcast(kLinear))));
  }
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction&) { return mul(x, share(x).value); }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction&) {
    const f32v near = clamp(x, -30.0f, 30.0f);  // 0 or 1 from there, and no overflow of the cubic
    const Logistic s = share(near);
    const f32v slope = fma(mul(near, near), broadcast(3.0f * kCubic), broadcast(kLinear));
    return fma(mul(near, slope), s.derivative, s.value);
  }
};

struct Silu {
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction&) { return mul(x, logistic(x).value); }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction&) {
    const Logistic s = logistic(x);
    return fma(x, s.derivative, s.value);
  }
};

struct Sigmoid {
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction&) { return logistic(x).value; }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction&) { return logistic(x).derivative; }
};

struct HardSigmoid {
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction&) {
    return mul(clamp(add(x, broadcast(3.0f)), 0.0f, 6.0f), broadcast(1.0f / 6.0f));
  }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction&) {
    return where_positive(sub(broadcast(3.0f), absolute(x)), broadcast(1.0f / 6.0f), zero());
  }
};

struct HardSilu {
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction& f) { return mul(x, HardSigmoid::value(x, f)); }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction& f) {
    return fma(x, HardSigmoid::derivative(x, f), HardSigmoid::value(x, f));
  }
};

struct Tanh {
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction&) { return tanh(x); }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction&) {
    return mul(broadcast(4.0f), logistic(add(x, x)).derivative);
  }
};

struct Softplus {
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction&) {
    return add(max(zero(), x), log1p(exp(negative(absolute(x)))));
  }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction&) { return logistic(x).value; }
};

struct Softsign {
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction&) {
    return div(x, add(absolute(x), broadcast(1.0f)));
  }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction&) {
    const f32v r = div(broadcast(1.0f), add(absolute(x), broadcast(1.0f)));
    return mul(r, r);
  }
};

struct Exponential {
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction&) { return exp(x); }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction&) { return exp(x); }
};

struct Mish {  // x * tanh(softplus(x)); with e = e^x the tanh is e * (e + 2) / (e * (e + 2) + 2), 1 in float from 20 on
  static FASTCONV_INLINE f32v value(f32v x, const ActivationFunction&) {
    const f32v e = exp(min(broadcast(20.0f), x)), two = broadcast(2.0f), n = mul(e, add(e, two));
    return mul(x, div(n, add(n, two)));
  }
  static FASTCONV_INLINE f32v derivative(f32v x, const ActivationFunction&) {
    const f32v e = exp(min(broadcast(20.0f), x)), two = broadcast(2.0f), n = mul(e, add(e, two));
    const f32v r = div(broadcast(1.0f), add(n, two));
    const f32v slope = mul(mul(fma(e, e, e), broadcast(4.0f)), mul(r, r));
    return fma(x, slope, mul(n, r));
  }
};

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
