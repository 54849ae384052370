// Elementwise kernels on the GPU.
#include "common/elementwise.cuh"
#include "elementwise/elementwise.h"

namespace fastconv::cuda {
namespace {

template <class Number>
__global__ void __launch_bounds__(kElementwiseThreads)
    add_kernel(Global<const Number> a, Global<const Number> b, Global<Number> y, int64_t count) {
  for_each_element(count, [&](int64_t i) { y.store(i, a.load(i) + b.load(i)); });
}

template <class From, class To>
__global__ void __launch_bounds__(kElementwiseThreads) cast_kernel(Global<const From> x, Global<To> y, int64_t count) {
  for_each_element(count, [&](int64_t i) { y.store(i, float(x.load(i))); });
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

template <class Number>
void add_forward(const Number* a, const Number* b, Number* y, int64_t count, void* stream) {
  launch("add_forward", add_kernel<Number>, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream),
         global(a, count), global(b, count), global(y, count), count);
}

template void add_forward(const float*, const float*, float*, int64_t, void*);
template void add_forward(const BFloat16*, const BFloat16*, BFloat16*, int64_t, void*);

template <class From, class To>
void cast(const From* x, To* y, int64_t count, void* stream) {
  launch("cast", cast_kernel<From, To>, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream),
         global(x, count), global(y, count), count);
}

template void cast(const float*, BFloat16*, int64_t, void*);
template void cast(const BFloat16*, float*, int64_t, void*);

void first_non_finite(const float* x, int64_t* first, int64_t count, void* stream) {
  launch("first_non_finite", first_non_finite_kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream),
         global(x, count), global(reinterpret_cast<uint64_t*>(first), 1), count);
}

}  // namespace fastconv::cuda
