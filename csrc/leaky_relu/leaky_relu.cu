// LeakyReLU on the GPU. Bound by memory; the plan fuses it with the batch normalization before it where there is one.
#include "common/elementwise.cuh"
#include "leaky_relu/leaky_relu.cuh"
#include "leaky_relu/leaky_relu.h"

namespace fastconv::cuda {
namespace {

template <class Number>
__global__ void __launch_bounds__(kElementwiseThreads)
    leaky_relu_forward_kernel(Global<const Number> x, Global<Number> y, float slope, int64_t count) {
  for_each_element(count, [&](int64_t i) { y.store(i, leaky_relu(x.load(i), slope)); });
}

template <class Number>
__global__ void __launch_bounds__(kElementwiseThreads)
    leaky_relu_backward_kernel(Global<const Number> dy, Global<const Number> x, Global<Number> dx, float slope,
                               int64_t count) {
  for_each_element(count, [&](int64_t i) { dx.store(i, leaky_relu_gradient(dy.load(i), x.load(i), slope)); });
}

}  // namespace

template <class Number>
void leaky_relu_forward(const Number* x, Number* y, float slope, int64_t count, void* stream) {
  launch("leaky_relu_forward", leaky_relu_forward_kernel<Number>, elementwise_grid(count), kElementwiseThreads, 0,
         Stream(stream), global(x, count), global(y, count), slope, count);
}

template <class Number>
void leaky_relu_backward(const Number* dy, const Number* x, Number* dx, float slope, int64_t count, void* stream) {
  launch("leaky_relu_backward", leaky_relu_backward_kernel<Number>, elementwise_grid(count), kElementwiseThreads, 0,
         Stream(stream), global(dy, count), global(x, count), global(dx, count), slope, count);
}

#define FASTCONV_INSTANTIATE(Number)                                               \
  template void leaky_relu_forward(const Number*, Number*, float, int64_t, void*); \
  template void leaky_relu_backward(const Number*, const Number*, Number*, float, int64_t, void*)
FASTCONV_INSTANTIATE(float);
FASTCONV_INSTANTIATE(BFloat16);

}  // namespace fastconv::cuda
