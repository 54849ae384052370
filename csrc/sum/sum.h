// Sums over axes: x is (p, q, r, s), y (q, s) the sums over p and r, as for the gradient of what binary/binary.h uses
// again. The rows (p, r) are cut into parts by shape; sums are double and in a fixed order. One read.
#pragma once
#include <cstdint>

#include "binary/binary.h"
#include "common/isa.h"

namespace fastconv {

size_t sum_workspace_bytes(const Extents& extents);
void sum_forward(const float* x, float* y, const Extents& extents, float* workspace, size_t workspace_bytes);

#define FASTCONV_DECLARE_SUM(isa)                                                                           \
  namespace isa {                                                                                           \
  /* sums[q * s] of the rows [begin, end) of p * r */                                                       \
  void sum_rows(const float* x, double* sums, const Extents& extents, int64_t begin, int64_t end) noexcept; \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_SUM)
#undef FASTCONV_DECLARE_SUM

namespace cuda {  // sum.cu: the same on a stream. `workspace` has the bytes of sum_workspace_bytes.
size_t sum_workspace_bytes(const Extents& extents);
void sum_forward(const float* x, float* y, const Extents& extents, float* workspace, void* stream);
}  // namespace cuda

}  // namespace fastconv
