// L1 and L2 penalties of weights: on ranges of the flat parameters (ranges.h), each with its own rates (l1, l2, kept),
//   total = samples * sum of l1 * |w| + l2 * w^2,   dw = (kept ? dw : 0) + l1 * sign(w) + 2 * l2 * w
// kept is 0 where no other step makes dw: what is there is of the last step. sign(0) = 0, NaN stays NaN. dw may be null: the total alone. Sums as in clip.h. 1 read of w; with dw one of each more.
// partial: penalty_workspace_bytes of scratch.
#pragma once
#include <cstddef>
#include <cstdint>

#include "common/isa.h"

namespace fastconv {

struct Ranges;

size_t penalty_workspace_bytes(int64_t size, int64_t ranges);
void penalty(const float* w, float* dw, const Ranges& ranges, const float* rates, int64_t samples, double* total,
             float* partial);

#define FASTCONV_DECLARE_PENALTY(isa)                                                                                  \
  namespace isa {                                                                                                      \
  double penalty_range(const float* w, float* dw, float l1, float l2, bool kept, int64_t begin, int64_t end) noexcept; \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_PENALTY)
#undef FASTCONV_DECLARE_PENALTY

namespace cuda {  // penalty.cu: the same on a stream. w has `size` elements; ranges and rates are on the device.
size_t penalty_workspace_bytes(int64_t ranges);
void penalty(const float* w, float* dw, int64_t size, const int64_t* bounds, const float* rates, int64_t ranges,
             int64_t samples, double* total, float* partial, void* stream);
}  // namespace cuda

}  // namespace fastconv
