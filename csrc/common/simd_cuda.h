// f32v for a thread of a GPU: one lane. See simd.h for what each function does.
#pragma once
#include "common/cuda.cuh"

namespace fastconv::cuda {
namespace {

using f32v = float;

__device__ inline f32v zero() { return 0.0f; }
__device__ inline f32v broadcast(float a) { return a; }
__device__ inline f32v add(f32v a, f32v b) { return a + b; }
__device__ inline f32v sub(f32v a, f32v b) { return a - b; }
__device__ inline f32v mul(f32v a, f32v b) { return a * b; }
__device__ inline f32v div(f32v a, f32v b) { return a / b; }
__device__ inline f32v fma(f32v a, f32v b, f32v c) { return a * b + c; }
__device__ inline f32v sqrt(f32v a) { return sqrtf(a); }
__device__ inline f32v max(f32v a, f32v b) { return a > b ? a : b; }
__device__ inline f32v min(f32v a, f32v b) { return a < b ? a : b; }
__device__ inline f32v where_positive(f32v x, f32v a, f32v b) { return x > 0.0f ? a : b; }
__device__ inline f32v pow2(f32v n) { return as_float(as_bits(n + kExponentToBits) << 23); }
__device__ inline f32v split(f32v x, f32v& n) {
  const int32_t exponent = (int32_t(as_bits(x)) - kSqrtHalfBits) >> 23;
  n = float(exponent);
  return as_float(as_bits(x) - (uint32_t(exponent) << 23));
}

}  // namespace
}  // namespace fastconv::cuda
