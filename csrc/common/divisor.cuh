// Division by a number that is known before the launch: a multiplication and a shift.
#pragma once
#include "common/cuda.cuh"

namespace fastconv::cuda {

// floor(i / d) for 0 <= i < 2^31 and 1 <= d < 2^31. Granlund and Montgomery 1994, "Division by invariant integers using
// multiplication", figure 4.1; its sum does not overflow where i < 2^31.
struct Divisor {
  uint32_t d = 1, factor = 1;
  int shift = 0;

  Divisor() = default;
  explicit Divisor(int64_t divisor) : d(uint32_t(divisor)) {
    while ((int64_t(1) << shift) < divisor) ++shift;
    factor = uint32_t((((int64_t(1) << shift) - divisor) << 32) / divisor + 1);
  }

  __device__ int quotient(int i) const { return int((multiply_high(uint32_t(i), factor) + uint32_t(i)) >> shift); }
  __device__ int remainder(int i, int quotient) const { return i - quotient * int(d); }
};

}  // namespace fastconv::cuda
