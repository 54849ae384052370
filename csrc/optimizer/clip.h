// Gradients held within bounds, in place on a flat array, or on ranges of it (ranges.h).
//   by_norm   n = the norm of a range; where n > norm, its elements are multiplied by norm / n, else they stay as they
//             are. In a range whose norm is not finite, all but zeros become NaN (what no step ever
//             writes stays 0). 1 read, and 1 of each in ranges that are clipped.
//             Squares are added in float within 512 elements, in double beyond (on the GPU in double); those above the
//             largest float count as infinite. partial: clip_by_norm_workspace_bytes of scratch.
//   by_value  min(max(dw, -limit), limit). 1 read, 1 write. NaN passes through.
#pragma once
#include <cstddef>
#include <cstdint>

#include "common/isa.h"

namespace fastconv {

struct Ranges;

// Throw std::invalid_argument unless norm or limit is positive.
size_t clip_by_norm_workspace_bytes(int64_t size, int64_t ranges);
void clip_by_norm(float* dw, const Ranges& ranges, float norm, float* partial);
void clip_by_value(float* dw, int64_t count, float limit);

#define FASTCONV_DECLARE_CLIP(isa)                                                       \
  namespace isa {                                                                        \
  double sum_of_squares(const float* x, int64_t begin, int64_t end) noexcept;            \
  void scale_range(float* x, float factor, int64_t begin, int64_t end) noexcept;         \
  void clip_by_value_range(float* dw, float limit, int64_t begin, int64_t end) noexcept; \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_CLIP)
#undef FASTCONV_DECLARE_CLIP

namespace cuda {  // clip.cu: the same on a stream. dw has `size` elements; the ranges are pairs on the device.
size_t clip_by_norm_workspace_bytes(int64_t ranges);
void clip_by_norm(float* dw, int64_t size, const int64_t* bounds, int64_t ranges, float norm, float* partial,
                  void* stream);
void clip_by_value(float* dw, int64_t count, float limit, void* stream);
}  // namespace cuda

}  // namespace fastconv
