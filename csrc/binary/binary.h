// Functions of two tensors: y = f(a, b), da = dy * df/da, db = dy * df/db; f and its derivatives are in functions.h, one
// source for the CPU and the GPU. b may be smaller than a:
//   extents (p, q, r, s): a, y, dy, da and db are (p, q, r, s), b is (q, s), used again for every p and r.
// A tensor of the same shape is (1, 1, 1, count), a number per channel (1, 1, rows, channels), a number per image and
// channel (1, images, pixels, channels). db has the size of a; sum_forward (sum/sum.h) makes of it the gradient of a b that
// is smaller. da and db may be null. In-place ok: y, da and db may be any array of their size.
#pragma once
#include <cstdint>

#include "common/isa.h"

// Name, struct in functions.h.
#define FASTCONV_BINARY_FUNCTIONS(M) \
  M(add, Add)                        \
  M(subtract, Subtract)              \
  M(multiply, Multiply)              \
  M(maximum, Maximum)                \
  M(minimum, Minimum)                \
  M(prelu, Prelu)                    \
  M(scale_by_root, ScaleByRoot)

namespace fastconv {

enum class Binary {
#define FASTCONV_ENUMERATOR(name, function) name,
  FASTCONV_BINARY_FUNCTIONS(FASTCONV_ENUMERATOR)
#undef FASTCONV_ENUMERATOR
};

struct Extents {
  int64_t p, q, r, s;

  int64_t count() const { return p * q * r * s; }
  int64_t small_count() const { return q * s; }
};

void binary_forward(const float* a, const float* b, float* y, Binary function, const Extents& extents);
void binary_backward(const float* dy, const float* a, const float* b, float* da, float* db, Binary function,
                     const Extents& extents);

#define FASTCONV_DECLARE_BINARY(isa)                                                                                 \
  namespace isa {                                                                                                    \
  void binary_forward_range(const float* a, const float* b, float* y, Binary function, const Extents& extents,       \
                            int64_t begin, int64_t end) noexcept;                                                    \
  void binary_backward_range(const float* dy, const float* a, const float* b, float* da, float* db, Binary function, \
                             const Extents& extents, int64_t begin, int64_t end) noexcept;                           \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_BINARY)
#undef FASTCONV_DECLARE_BINARY

namespace cuda {  // binary.cu: the same on a stream; a has fewer than 2^31 numbers where b is smaller
void binary_forward(const float* a, const float* b, float* y, Binary function, const Extents& extents, void* stream);
void binary_backward(const float* dy, const float* a, const float* b, float* da, float* db, Binary function,
                     const Extents& extents, void* stream);
}  // namespace cuda

}  // namespace fastconv
