// The vector vocabulary of the SIMD kernels: f32v, kLanes and the functions below, one header per instruction set.
// A *_simd.cpp file includes its own header and this one only, and is compiled once per instruction set with
// FASTCONV_ISA set to its name; everything lives in that namespace, so no inline code is shared between objects built
// for different processors (the linker would keep one copy: an illegal instruction elsewhere, see numpy#25274).
// A thread of a GPU is an instruction set of one lane, "cuda": what is written in the words from `sqrt` to `split`
// (common/vector_math.h, activation/functions.h) is device code, too, where its functions are FASTCONV_INLINE.
//
//   load, store            kLanes floats, any alignment
//   load_partial(p, n)     the first n floats, 0 <= n <= kLanes; the other lanes are 0 and are not read
//   store_partial(p, v, n) the first n lanes; nothing else is written
//   sqrt
//   broadcast, zero        one value in every lane
//   add, sub, mul, div, fma(a, b, c) = a * b + c
//   max, min               b where one of them is NaN (on NEON the NaN)
//   where_positive(x, a, b)  per lane: x > 0 ? a : b (NaN counts as not positive)
//   pow2(n)                2^n for a whole n from -126 to 127
//   split(x, n)            n and m of x = m * 2^n, sqrt(1/2) <= m < sqrt(2), for a normal x > 0
//   where_above(x, y, a, b)  per lane: x > y, or x is NaN and y is not ? a : b
//   where_equal(x, y, a, b)  per lane: x == y ? a : b
//   zip_low, zip_high(a, b)  a0 b0 a1 b1 ..., from the lower halves of a and b, and from the upper ones
#pragma once
#include <cstddef>
#include <cstdint>

#define FASTCONV_TARGET_scalar 0
#define FASTCONV_TARGET_neon 1
#define FASTCONV_TARGET_avx2 2
#define FASTCONV_TARGET_avx512 3
#define FASTCONV_TARGET_cuda 4
#define FASTCONV_JOIN_(a, b) a##b
#define FASTCONV_JOIN(a, b) FASTCONV_JOIN_(a, b)
#ifndef FASTCONV_ISA  // in .cu files
#define FASTCONV_ISA cuda
#endif
#define FASTCONV_TARGET FASTCONV_JOIN(FASTCONV_TARGET_, FASTCONV_ISA)

#if FASTCONV_TARGET == 4
#define FASTCONV_INLINE __device__ inline
#else
#define FASTCONV_INLINE inline
#endif

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr float kExponentToBits = 0x1.8p23f + 127.0f;  // added to n, it leaves n + 127 in the lowest bits
constexpr int32_t kSqrtHalfBits = 0x3F3504F3;          // of the float sqrt(1/2)

}  // namespace
}  // namespace fastconv::FASTCONV_ISA

#if FASTCONV_TARGET == 4
#include "common/simd_cuda.h"
#elif FASTCONV_TARGET == 3
#include "common/simd_avx512.h"
#elif FASTCONV_TARGET == 2
#include "common/simd_avx2.h"
#elif FASTCONV_TARGET == 1
#include "common/simd_neon.h"
#else
#include "common/simd_scalar.h"
#endif
