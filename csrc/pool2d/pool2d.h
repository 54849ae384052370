// Pooling of NHWC images: each output is the largest, the mean or the sum of a window's pixels, channel by channel. The
// geometry is that of a convolution with as many filters as channels. Pixels beyond the image are no part of a window:
// the mean is that of those inside.
//  - max: the first of equal pixels counts, row by row; a NaN is larger than all numbers. `index` is the number of that
//    pixel in its window, row * s + column, as a float: exact, since a window has at most 2^24 pixels. It may be null.
//  - max backward: dx is the sum of the dy whose index names the pixel. avg backward: of the dy whose window holds it,
//    over the pixels of that window if `mean`. Both in the order of the windows; 0 where no window is.
// x, dx: NHWC   y, dy, index: NPQC. Overlapping windows are gathered by pixel, so no cut changes a bit.
#pragma once
#include <cstdint>

#include "conv2d/conv2d.h"

namespace fastconv {

void maxpool2d_forward(const Conv2DGeometry& g, const float* x, float* y, float* index);
void maxpool2d_backward(const Conv2DGeometry& g, const float* dy, const float* index, float* dx);
void avgpool2d_forward(const Conv2DGeometry& g, const float* x, float* y, bool mean);
void avgpool2d_backward(const Conv2DGeometry& g, const float* dy, float* dx, bool mean);

// ---- kernels: rows [begin, end) of the n * p of outputs, in backward of the n * h of dx ----
#define FASTCONV_DECLARE_POOL2D(isa)                                                                                   \
  namespace isa {                                                                                                      \
  void maxpool2d_forward_rows(const Conv2DGeometry& g, const float* x, float* y, float* index, int64_t begin,          \
                              int64_t end) noexcept;                                                                   \
  void maxpool2d_backward_rows(const Conv2DGeometry& g, const float* dy, const float* index, float* dx, int64_t begin, \
                               int64_t end) noexcept;                                                                  \
  void avgpool2d_forward_rows(const Conv2DGeometry& g, const float* x, float* y, bool mean, int64_t begin,             \
                              int64_t end) noexcept;                                                                   \
  void avgpool2d_backward_rows(const Conv2DGeometry& g, const float* dy, float* dx, bool mean, int64_t begin,          \
                               int64_t end) noexcept;                                                                  \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_POOL2D)
#undef FASTCONV_DECLARE_POOL2D

namespace cuda {  // pool2d.cu: the same on a stream
void maxpool2d_forward(const Conv2DGeometry& g, const float* x, float* y, float* index, void* stream);
void maxpool2d_backward(const Conv2DGeometry& g, const float* dy, const float* index, float* dx, void* stream);
void avgpool2d_forward(const Conv2DGeometry& g, const float* x, float* y, bool mean, void* stream);
void avgpool2d_backward(const Conv2DGeometry& g, const float* dy, float* dx, bool mean, void* stream);
}  // namespace cuda

}  // namespace fastconv
