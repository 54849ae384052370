// Functions of two tensors on elements [begin, end) of the larger one. Built once per instruction set.
#include "binary/binary.h"
#include "binary/functions.h"
#include "common/simd.h"

namespace fastconv::FASTCONV_ISA {
namespace {

// Calls run(i, n, at, step): elements [i, i + n) meet b[at], b[at + step], ...; step is 1, or 0 for one number of b.
template <typename Run>
void for_each_run(const Extents& e, int64_t begin, int64_t end, Run&& run) noexcept {
  const int64_t step = e.s > 1 || e.r == 1, length = step ? e.s : e.r, repeats = step ? e.r : 1;
  int64_t row = begin / length, offset = begin % length;
  for (int64_t i = begin; i < end; ++row, offset = 0) {
    const int64_t n = end - i < length - offset ? end - i : length - offset;
    run(i, n, row / repeats % e.q * e.s + offset * step, step);
    i += n;
  }
}

// Calls vector(i, n, value of b) for all vectors of a run, n of its lanes in use.
template <typename Vector>
void for_each_vector(const float* b, int64_t first, int64_t count, int64_t at, int64_t step, Vector&& vector) noexcept {
  const f32v one = broadcast(b[at]);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) vector(first + i, kLanes, step ? load(b + at + i) : one);
  if (i < count) vector(first + i, int(count - i), step ? load_partial(b + at + i, int(count - i)) : one);
}

inline f32v load_n(const float* p, int n) noexcept { return n == kLanes ? load(p) : load_partial(p, n); }
inline void store_n(float* p, f32v v, int n) noexcept { n == kLanes ? store(p, v) : store_partial(p, v, n); }

template <typename Function>
void forward(const float* a, const float* b, float* y, const Extents& e, int64_t begin, int64_t end) noexcept {
  for_each_run(e, begin, end, [&](int64_t first, int64_t count, int64_t at, int64_t step) {
    for_each_vector(b, first, count, at, step,
                    [&](int64_t i, int n, f32v with) { store_n(y + i, Function::value(load_n(a + i, n), with), n); });
  });
}

template <typename Function>
void backward(const float* dy, const float* a, const float* b, float* da, float* db, const Extents& e, int64_t begin,
              int64_t end) noexcept {
  for_each_run(e, begin, end, [&](int64_t first, int64_t count, int64_t at, int64_t step) {
    for_each_vector(b, first, count, at, step, [&](int64_t i, int n, f32v with) {
      const f32v gradient = load_n(dy + i, n), x = load_n(a + i, n);  // before either is overwritten
      if (da) store_n(da + i, mul(gradient, Function::by_a(x, with)), n);
      if (db) store_n(db + i, mul(gradient, Function::by_b(x, with)), n);
    });
  });
}

}  // namespace

void binary_forward_range(const float* a, const float* b, float* y, Binary function, const Extents& extents,
                          int64_t begin, int64_t end) noexcept {
  switch (function) {
#define FASTCONV_FORWARD(name, Function) \
  case Binary::name: return forward<Function>(a, b, y, extents, begin, end);
    FASTCONV_BINARY_FUNCTIONS(FASTCONV_FORWARD)
#undef FASTCONV_FORWARD
  }
}

void binary_backward_range(const float* dy, const float* a, const float* b, float* da, float* db, Binary function,
                           const Extents& extents, int64_t begin, int64_t end) noexcept {
  switch (function) {
#define FASTCONV_BACKWARD(name, Function) \
  case Binary::name: return backward<Function>(dy, a, b, da, db, extents, begin, end);
    FASTCONV_BINARY_FUNCTIONS(FASTCONV_BACKWARD)
#undef FASTCONV_BACKWARD
  }
}

}  // namespace fastconv::FASTCONV_ISA
