// Activations: y = f(x) and dx = dy * f'(x), elementwise; f and f' of each are in functions.h, one source for the CPU and
// the GPU. The derivative is made from x, so that no backward pass needs y. In-place ok: y may be x, dx may be dy or x.
// One read (two in backward), one write.
#pragma once
#include <cstdint>

#include "common/isa.h"

// Name, struct in functions.h, number of parameters: a new activation is a line here and its expressions there.
#define FASTCONV_ACTIVATIONS(M)   \
  M(linear, Linear, 2)            \
  M(relu, Relu, 3)                \
  M(elu, Elu, 1)                  \
  M(selu, Selu, 0)                \
  M(gelu, Gelu, 0)                \
  M(gelu_tanh, GeluTanh, 0)       \
  M(silu, Silu, 0)                \
  M(sigmoid, Sigmoid, 0)          \
  M(hard_sigmoid, HardSigmoid, 0) \
  M(hard_silu, HardSilu, 0)       \
  M(tanh, Tanh, 0)                \
  M(softplus, Softplus, 0)        \
  M(softsign, Softsign, 0)        \
  M(exponential, Exponential, 0)  \
  M(mish, Mish, 0)

namespace fastconv {

enum class Activation {
#define FASTCONV_ENUMERATOR(name, function, parameters) name,
  FASTCONV_ACTIVATIONS(FASTCONV_ENUMERATOR)
#undef FASTCONV_ENUMERATOR
};

struct ActivationFunction {
  Activation name;
  float a, b, c;  // its parameters, in the order of functions.h
};

void activation_forward(const float* x, float* y, const ActivationFunction& function, int64_t count);
void activation_backward(const float* dy, const float* x, float* dx, const ActivationFunction& function, int64_t count);

#define FASTCONV_DECLARE_ACTIVATION(isa)                                                                         \
  namespace isa {                                                                                                \
  void activation_forward_range(const float* x, float* y, const ActivationFunction& function, int64_t begin,     \
                                int64_t end) noexcept;                                                           \
  void activation_backward_range(const float* dy, const float* x, float* dx, const ActivationFunction& function, \
                                 int64_t begin, int64_t end) noexcept;                                           \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_ACTIVATION)
#undef FASTCONV_DECLARE_ACTIVATION

namespace cuda {  // activation.cu: the same on a stream
void activation_forward(const float* x, float* y, const ActivationFunction& function, int64_t count, void* stream);
void activation_backward(const float* dy, const float* x, float* dx, const ActivationFunction& function, int64_t count,
                         void* stream);
}  // namespace cuda

}  // namespace fastconv
