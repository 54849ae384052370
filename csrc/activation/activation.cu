// Activations on the GPU.
#include "activation/activation.h"
#include "activation/functions.h"
#include "common/elementwise.cuh"

namespace fastconv::cuda {
namespace {

template <typename Function>
__global__ void __launch_bounds__(kElementwiseThreads)
    forward_kernel(Global<const float> x, Global<float> y, ActivationFunction f, int64_t count) {
  for_each_element(count, [&](int64_t i) { y.store(i, Function::value(x.load(i), f)); });
}

template <typename Function>
__global__ void __launch_bounds__(kElementwiseThreads)
    backward_kernel(Global<const float> dy, Global<const float> x, Global<float> dx, ActivationFunction f,
                    int64_t count) {
  for_each_element(count, [&](int64_t i) { dx.store(i, dy.load(i) * Function::derivative(x.load(i), f)); });
}

}  // namespace

void activation_forward(const float* x, float* y, const ActivationFunction& function, int64_t count, void* stream) {
  const auto run = [&](auto kernel) {
    launch("activation_forward", kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream),
           global(x, count), global(y, count), function, count);
  };
  switch (function.name) {
#define FASTCONV_FORWARD(name, Function, parameters) \
  case Activation::name: return run(forward_kernel<Function>);
    FASTCONV_ACTIVATIONS(FASTCONV_FORWARD)
#undef FASTCONV_FORWARD
  }
}

void activation_backward(const float* dy, const float* x, float* dx, const ActivationFunction& function, int64_t count,
                         void* stream) {
  const auto run = [&](auto kernel) {
    launch("activation_backward", kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream),
           global(dy, count), global(x, count), global(dx, count), function, count);
  };
  switch (function.name) {
#define FASTCONV_BACKWARD(name, Function, parameters) \
  case Activation::name: return run(backward_kernel<Function>);
    FASTCONV_ACTIVATIONS(FASTCONV_BACKWARD)
#undef FASTCONV_BACKWARD
  }
}

}  // namespace fastconv::cuda
