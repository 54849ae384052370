// Activations of elements [begin, end). Built once per instruction set.
#include "activation/activation.h"
#include "activation/functions.h"
#include "common/simd.h"

namespace fastconv::FASTCONV_ISA {
namespace {

template <typename Function>
void forward(const float* x, float* y, const ActivationFunction& f, int64_t begin, int64_t end) noexcept {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) store(y + i, Function::value(load(x + i), f));
  if (i < end) {
    const int n = int(end - i);
    store_partial(y + i, Function::value(load_partial(x + i, n), f), n);
  }
}

template <typename Function>
void backward(const float* dy, const float* x, float* dx, const ActivationFunction& f, int64_t begin,
              int64_t end) noexcept {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) store(dx + i, mul(load(dy + i), Function::derivative(load(x + i), f)));
  if (i < end) {
    const int n = int(end - i);
    store_partial(dx + i, mul(load_partial(dy + i, n), Function::derivative(load_partial(x + i, n), f)), n);
  }
}

}  // namespace

void activation_forward_range(const float* x, float* y, const ActivationFunction& function, int64_t begin,
                              int64_t end) noexcept {
  const ActivationFunction f = function;  // a copy that no store can change
  switch (f.name) {
#define FASTCONV_FORWARD(name, Function, parameters) \
  case Activation::name: return forward<Function>(x, y, f, begin, end);
    FASTCONV_ACTIVATIONS(FASTCONV_FORWARD)
#undef FASTCONV_FORWARD
  }
}

void activation_backward_range(const float* dy, const float* x, float* dx, const ActivationFunction& function,
                               int64_t begin, int64_t end) noexcept {
  const ActivationFunction f = function;
  switch (f.name) {
#define FASTCONV_BACKWARD(name, Function, parameters) \
  case Activation::name: return backward<Function>(dy, x, dx, f, begin, end);
    FASTCONV_ACTIVATIONS(FASTCONV_BACKWARD)
#undef FASTCONV_BACKWARD
  }
}

}  // namespace fastconv::FASTCONV_ISA
