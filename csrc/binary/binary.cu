// Functions of two tensors on the GPU.
#include "binary/binary.h"
#include "binary/functions.h"
#include "common/divisor.cuh"
#include "common/elementwise.cuh"
#include "common/errors.h"

namespace fastconv::cuda {
namespace {

// Where the number of b is that an element of a meets.
struct Again {
  bool alike;
  Divisor q, r, s;

  explicit Again(const Extents& e) : alike(e.small_count() == e.count()) {
    if (alike) return;
    require(e.count() <= INT32_MAX, "extents", "fewer than 2^31 numbers where b is used again", e.count());
    q = Divisor(e.q);
    r = Divisor(e.r);
    s = Divisor(e.s);
  }

  __device__ int64_t index(int64_t i) const {
    if (alike) return i;
    const int row = s.quotient(int(i)), run = r.quotient(row);
    return q.remainder(run, q.quotient(run)) * int64_t(s.d) + s.remainder(int(i), row);
  }
};

template <typename Function>
__global__ void __launch_bounds__(kElementwiseThreads)
    forward_kernel(Global<const float> a, Global<const float> b, Global<float> y, Again again, int64_t count) {
  for_each_element(count, [&](int64_t i) { y.store(i, Function::value(a.load(i), b.load(again.index(i)))); });
}

template <typename Function>
__global__ void __launch_bounds__(kElementwiseThreads)
    backward_kernel(Global<const float> dy, Global<const float> a, Global<const float> b, Global<float> da,
                    Global<float> db, Again again, int64_t count) {
  for_each_element(count, [&](int64_t i) {
    const float with = b.load(again.index(i)), gradient = dy.load(i), x = a.load(i);
    if (da) da.store(i, gradient * Function::by_a(x, with));
    if (db) db.store(i, gradient * Function::by_b(x, with));
  });
}

}  // namespace

void binary_forward(const float* a, const float* b, float* y, Binary function, const Extents& extents, void* stream) {
  const int64_t count = extents.count();
  const auto run = [&](auto kernel) {
    launch("binary_forward", kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream), global(a, count),
           global(b, extents.small_count()), global(y, count), Again(extents), count);
  };
  switch (function) {
#define FASTCONV_FORWARD(name, Function) \
  case Binary::name: return run(forward_kernel<Function>);
    FASTCONV_BINARY_FUNCTIONS(FASTCONV_FORWARD)
#undef FASTCONV_FORWARD
  }
}

void binary_backward(const float* dy, const float* a, const float* b, float* da, float* db, Binary function,
                     const Extents& extents, void* stream) {
  const int64_t count = extents.count();
  const auto run = [&](auto kernel) {
    launch("binary_backward", kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream),
           global(dy, count), global(a, count), global(b, extents.small_count()), global(da, count), global(db, count),
           Again(extents), count);
  };
  switch (function) {
#define FASTCONV_BACKWARD(name, Function) \
  case Binary::name: return run(backward_kernel<Function>);
    FASTCONV_BINARY_FUNCTIONS(FASTCONV_BACKWARD)
#undef FASTCONV_BACKWARD
  }
}

}  // namespace fastconv::cuda
