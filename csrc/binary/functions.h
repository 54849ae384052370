// Functions of two numbers and their derivatives, in the words of common/simd.h: compiled for every instruction set and for
// the GPU. A NaN on either side gives NaN.
#pragma once
#include "binary/binary.h"
#include "common/simd.h"

namespace fastconv::FASTCONV_ISA {
namespace {

struct Add {
  static FASTCONV_INLINE f32v value(f32v a, f32v b) { return add(a, b); }
  static FASTCONV_INLINE f32v by_a(f32v, f32v) { return broadcast(1.0f); }
  static FASTCONV_INLINE f32v by_b(f32v, f32v) { return broadcast(1.0f); }
};

struct Subtract {
  static FASTCONV_INLINE f32v value(f32v a, f32v b) { return sub(a, b); }
  static FASTCONV_INLINE f32v by_a(f32v, f32v) { return broadcast(1.0f); }
  static FASTCONV_INLINE f32v by_b(f32v, f32v) { return broadcast(-1.0f); }
};

struct Multiply {
  static FASTCONV_INLINE f32v value(f32v a, f32v b) { return mul(a, b); }
  static FASTCONV_INLINE f32v by_a(f32v, f32v b) { return b; }
  static FASTCONV_INLINE f32v by_b(f32v a, f32v) { return a; }
};

// a where it is the better one, b where that is, their mean where they are equal or one is NaN.
FASTCONV_INLINE f32v better(f32v a_less_b, f32v a, f32v b) {
  const f32v half = broadcast(0.5f), mean = fma(a, half, mul(b, half));
  return where_positive(a_less_b, a, where_positive(sub(zero(), a_less_b), b, mean));
}

struct Maximum {  // the gradient of equals goes to a, as in TensorFlow
  static FASTCONV_INLINE f32v value(f32v a, f32v b) { return better(sub(a, b), a, b); }
  static FASTCONV_INLINE f32v by_a(f32v a, f32v b) { return where_positive(sub(b, a), zero(), broadcast(1.0f)); }
  static FASTCONV_INLINE f32v by_b(f32v a, f32v b) { return where_positive(sub(b, a), broadcast(1.0f), zero()); }
};

struct Minimum {
  static FASTCONV_INLINE f32v value(f32v a, f32v b) { return better(sub(b, a), a, b); }
  static FASTCONV_INLINE f32v by_a(f32v a, f32v b) { return Maximum::by_a(b, a); }
  static FASTCONV_INLINE f32v by_b(f32v a, f32v b) { return Maximum::by_b(b, a); }
};

struct Prelu {  // a where a > 0, else b * a; its gradient at 0 is 0, as in Keras
  static FASTCONV_INLINE f32v value(f32v a, f32v b) { return where_positive(a, a, mul(b, a)); }
  static FASTCONV_INLINE f32v by_a(f32v a, f32v b) {
    return where_positive(a, broadcast(1.0f), where_positive(sub(zero(), a), b, zero()));
  }
  static FASTCONV_INLINE f32v by_b(f32v a, f32v) { return where_positive(a, zero(), a); }
};

struct ScaleByRoot {  // a times the root of b, at least 1e-7: Normalization inverted
  static FASTCONV_INLINE f32v by_a(f32v, f32v b) { return max(broadcast(1e-7f), sqrt(b)); }
  static FASTCONV_INLINE f32v by_b(f32v a, f32v b) { return div(mul(a, broadcast(0.5f)), by_a(a, b)); }
  static FASTCONV_INLINE f32v value(f32v a, f32v b) { return mul(a, by_a(a, b)); }
};

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
