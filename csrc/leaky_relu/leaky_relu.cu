// LeakyReLU on the GPU. Bound by memory; the plan fuses it with the batch normalization before it where there is one.
#include "common/elementwise.cuh"
#include "leaky_relu/leaky_relu.cuh"
#include "leaky_relu/leaky_relu.h"

namespace fastconv::cuda {
namespace {

__global__ void __launch_bounds__(kElementwiseThreads)
    leaky_relu_forward_kernel(Global<const float> x, Global<float> y, float slope, int64_t count) {
  for_each_element(count, [&](int64_t i) { y.store(i, leaky_relu(x.load(i), slope)); });
}

__global__ void __launch_bounds__(kElementwiseThreads)
    leaky_relu_backward_kernel(Global<const float> dy, Global<const float> x, Global<float> dx, float slope,
                               int64_t count) {
  for_each_element(count, [&](int64_t i) { dx.store(i, leaky_relu_gradient(dy.load(i), x.load(i), slope)); });
}

}  // namespace

void leaky_relu_forward(const float* x, float* y, float slope, int64_t count, void* stream) {
  launch("leaky_relu_forward", leaky_relu_forward_kernel, elementwise_grid(count), kElementwiseThreads, 0,
         Stream(stream), global(x, count), global(y, count), slope, count);
}

void leaky_relu_backward(const float* dy, const float* x, float* dx, float slope, int64_t count, void* stream) {
  launch("leaky_relu_backward", leaky_relu_backward_kernel, elementwise_grid(count), kElementwiseThreads, 0,
         Stream(stream), global(dy, count), global(x, count), global(dx, count), slope, count);
}

}  // namespace fastconv::cuda
