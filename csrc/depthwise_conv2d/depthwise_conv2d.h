// Depthwise Conv2D: every channel has m = k / c filters of its own.
//   y[n,p,q,c*m+j] = b[c*m+j] + sum_{r,s} x[n, p*stride_h + r - pad_top, q*stride_w + s - pad_left, c] * w[r,s,c,j]
// x, dx: NHWC   w, dw: RSCM   y, dy: NPQK   b: K, may be null.   Each output and each number of dx is one sum in one order.
// wgrad: rows of outputs are cut into parts by shape; their sums are added in order, on the CPU in double.
#pragma once
#include <cstddef>
#include <cstdint>

#include "conv2d/conv2d.h"

namespace fastconv {

void depthwise_conv2d_fprop(const Conv2DGeometry& g, const float* x, const float* w, const float* b, float* y);
void depthwise_conv2d_dgrad(const Conv2DGeometry& g, const float* dy, const float* w, float* dx);
size_t depthwise_conv2d_wgrad_workspace_bytes(const Conv2DGeometry& g);
void depthwise_conv2d_wgrad(const Conv2DGeometry& g, const float* x, const float* dy, float* dw, float* workspace,
                            size_t workspace_bytes);

// ---- kernels: rows [begin, end) of the n * p of outputs, in dgrad of the n * h of dx; wgrad_rows overwrites dw ----
#define FASTCONV_DECLARE_DEPTHWISE(isa)                                                                         \
  namespace isa {                                                                                               \
  void depthwise_fprop_rows(const Conv2DGeometry& g, const float* x, const float* w, const float* b, float* y,  \
                            int64_t begin, int64_t end) noexcept;                                               \
  void depthwise_dgrad_rows(const Conv2DGeometry& g, const float* dy, const float* w, float* dx, int64_t begin, \
                            int64_t end) noexcept;                                                              \
  void depthwise_wgrad_rows(const Conv2DGeometry& g, const float* x, const float* dy, float* dw, int64_t begin, \
                            int64_t end) noexcept;                                                              \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_DEPTHWISE)
#undef FASTCONV_DECLARE_DEPTHWISE

namespace cuda {  // depthwise_conv2d.cu: the same on a stream
void depthwise_conv2d_fprop(const Conv2DGeometry& g, const float* x, const float* w, const float* b, float* y,
                            void* stream);
void depthwise_conv2d_dgrad(const Conv2DGeometry& g, const float* dy, const float* w, float* dx, void* stream);
size_t depthwise_conv2d_wgrad_workspace_bytes(const Conv2DGeometry& g);
void depthwise_conv2d_wgrad(const Conv2DGeometry& g, const float* x, const float* dy, float* dw, float* workspace,
                            void* stream);
}  // namespace cuda

}  // namespace fastconv
