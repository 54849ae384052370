// y = x > 0 ? x : slope * x, elementwise; slope 0 is ReLU (0 there, also at -Inf; NaN stays NaN).
// dx = x > 0 ? dy : slope * dy, from the input x: at x = 0 the slope counts, as in TensorFlow.
// In-place ok: y may be x, dx may be dy.
#pragma once
#include <cstdint>

#include "common/isa.h"

namespace fastconv {

void leaky_relu_forward(const float* x, float* y, float slope, int64_t count);
void leaky_relu_backward(const float* dy, const float* x, float* dx, float slope, int64_t count);

#define FASTCONV_DECLARE_LEAKY_RELU(isa)                                                                     \
  namespace isa {                                                                                            \
  void leaky_relu_forward_range(const float* x, float* y, float slope, int64_t begin, int64_t end) noexcept; \
  void leaky_relu_backward_range(const float* dy, const float* x, float* dx, float slope, int64_t begin,     \
                                 int64_t end) noexcept;                                                      \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_LEAKY_RELU)
#undef FASTCONV_DECLARE_LEAKY_RELU

namespace cuda {  // leaky_relu.cu: the same on a stream; Number: float or BFloat16 (common/cuda.cuh)
template <class Number>
void leaky_relu_forward(const Number* x, Number* y, float slope, int64_t count, void* stream);
template <class Number>
void leaky_relu_backward(const Number* dy, const Number* x, Number* dx, float slope, int64_t count, void* stream);
}  // namespace cuda

}  // namespace fastconv
