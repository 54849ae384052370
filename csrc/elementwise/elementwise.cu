// Elementwise kernels on the GPU.
#include "common/elementwise.cuh"
#include "elementwise/elementwise.h"

namespace fastconv::cuda {
namespace {

__global__ void __launch_bounds__(kElementwiseThreads)
    add_kernel(Global<const float> a, Global<const float> b, Global<float> y, int64_t count) {
  for_each_element(count, [&](int64_t i) { y.store(i, a.load(i) + b.load(i)); });
}

__global__ void __launch_bounds__(kElementwiseThreads)
    first_non_finite_kernel(Global<const float> x, Global<uint64_t> first, int64_t count) {
  int64_t found = count;
  for_each_element(count, [&](int64_t i) {
    const float value = x.load(i);
    if (value - value != 0.0f && i < found) found = i;
  });
  if (found < count) atomic_min(first, 0, uint64_t(found));
}

}  // namespace

void add_forward(const float* a, const float* b, float* y, int64_t count, void* stream) {
  launch("add_forward", add_kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream), global(a, count),
         global(b, count), global(y, count), count);
}

void first_non_finite(const float* x, int64_t* first, int64_t count, void* stream) {
  launch("first_non_finite", first_non_finite_kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream),
         global(x, count), global(reinterpret_cast<uint64_t*>(first), 1), count);
}

}  // namespace fastconv::cuda
