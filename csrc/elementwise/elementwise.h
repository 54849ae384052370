// add: y = a + b; the arguments may be the same arrays in any way. Two reads, one write.
// first_non_finite: index of the first NaN or infinity of x, or -1. One read, stopped early where one is found.
#pragma once
#include <cstdint>

#include "common/isa.h"

namespace fastconv {

void add_forward(const float* a, const float* b, float* y, int64_t count);
int64_t first_non_finite(const float* x, int64_t count);

#define FASTCONV_DECLARE_ELEMENTWISE(isa)                                                                      \
  namespace isa {                                                                                              \
  void add_forward_range(const float* a, const float* b, float* y, int64_t begin, int64_t end) noexcept;       \
  int64_t first_non_finite_range(const float* x, int64_t begin, int64_t end) noexcept; /* its index, or end */ \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_ELEMENTWISE)
#undef FASTCONV_DECLARE_ELEMENTWISE

namespace cuda {  // elementwise.cu: the same on a stream; Number: float or BFloat16 (common/cuda.cuh)
template <class Number>
void add_forward(const Number* a, const Number* b, Number* y, int64_t count, void* stream);
// y = x, of the other number.
template <class From, class To>
void cast(const From* x, To* y, int64_t count, void* stream);
// The answer goes to `first`, on the device, which is -1 before.
void first_non_finite(const float* x, int64_t* first, int64_t count, void* stream);
}  // namespace cuda

}  // namespace fastconv
