// What a loss or metric makes of an element x of the output and t of the target: its value and the derivative by x. One
// source for all processors, in the words of simd.h. A NaN in x gives NaN in both, where it is not said otherwise.
#pragma once
#include "common/vector_math.h"
#include "loss/loss.h"

namespace fastconv::FASTCONV_ISA {
namespace {

struct Parameter {  // of a function, 0 where it has none
  float parameter;
};

struct SquaredError : Parameter {
  FASTCONV_INLINE f32v value(f32v x, f32v t) const { return mul(sub(x, t), sub(x, t)); }
  FASTCONV_INLINE f32v derivative(f32v x, f32v t) const { return mul(broadcast(2.0f), sub(x, t)); }
};

struct AbsoluteError : Parameter {
  FASTCONV_INLINE f32v value(f32v x, f32v t) const { return absolute(sub(x, t)); }
  FASTCONV_INLINE f32v derivative(f32v x, f32v t) const {  // 0 where they are equal
    const f32v d = sub(x, t);
    return where_positive(d, broadcast(1.0f), where_positive(negative(d), broadcast(-1.0f), d));
  }
};

// d^2 / 2 of small differences d, beyond +-parameter the tangent there.
struct Huber : Parameter {
  FASTCONV_INLINE f32v value(f32v x, f32v t) const {
    const f32v d = absolute(sub(x, t)), half = mul(broadcast(0.5f), d);
    const f32v line = mul(broadcast(parameter), sub(d, broadcast(0.5f * parameter)));
    return where_positive(sub(d, broadcast(parameter)), line, mul(half, d));
  }
  FASTCONV_INLINE f32v derivative(f32v x, f32v t) const {
    const f32v d = sub(x, t), slope = where_positive(d, broadcast(parameter), broadcast(-parameter));
    return where_positive(sub(absolute(d), broadcast(parameter)), slope, d);
  }
};

// -t log p - (1 - t) log(1 - p) of a probability p, clipped as Keras does; outside the derivative is 0.
struct BinaryCrossentropy : Parameter {
  FASTCONV_INLINE f32v clipped(f32v p) const { return clamp(p, 1e-7f, 1.0f - 1e-7f); }
  FASTCONV_INLINE f32v value(f32v p, f32v t) const {
    const f32v c = clipped(p), one = broadcast(1.0f);
    return negative(add(mul(t, log(c)), mul(sub(one, t), log(sub(one, c)))));
  }
  FASTCONV_INLINE f32v derivative(f32v p, f32v t) const {
    const f32v c = clipped(p), one = broadcast(1.0f);
    const f32v slope = sub(div(sub(one, t), sub(one, c)), div(t, c));
    return where_positive(absolute(sub(p, c)), zero(), slope);
  }
};

// The same of p = 1 / (1 + e^-x), from x and never clipped.
struct BinaryCrossentropyOfLogits : Parameter {
  FASTCONV_INLINE f32v value(f32v x, f32v t) const {
    const f32v above = where_positive(x, sub(x, mul(x, t)), negative(mul(x, t)));
    return add(above, log1p(exp(negative(absolute(x)))));
  }
  FASTCONV_INLINE f32v derivative(f32v x, f32v t) const { return sub(logistic(x).value, t); }
};

// Metrics. 1 where x equals the target, else 0.
struct Equal : Parameter {
  FASTCONV_INLINE f32v value(f32v x, f32v t) const {
    const f32v d = sub(x, t);
    return where_positive(absolute(d), zero(), add(broadcast(1.0f), d));
  }
  FASTCONV_INLINE f32v derivative(f32v, f32v) const { return zero(); }
};

// 1 where the target is the class of x: 1 above the parameter, else 0, also where x is NaN.
struct Threshold : Parameter {
  FASTCONV_INLINE f32v value(f32v x, f32v t) const {
    const f32v found = where_positive(sub(x, broadcast(parameter)), broadcast(1.0f), zero());
    return where_positive(absolute(sub(found, t)), zero(), broadcast(1.0f));
  }
  FASTCONV_INLINE f32v derivative(f32v, f32v) const { return zero(); }
};

// Calls body(function).
template <typename Body>
void with_loss_function(const LossFunction& of, const Body& body) {
  switch (of.kind) {
#define FASTCONV_CASE(name, Function) \
  case LossFunction::name: return body(Function{of.parameter});
    FASTCONV_LOSSES(FASTCONV_CASE)
#undef FASTCONV_CASE
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
