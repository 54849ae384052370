// Conv2D: y[n,p,q,k] = b[k] + sum_{r,s,c} x[n, p*stride_h + r - pad_top, q*stride_w + s - pad_left, c] * w[r,s,c,k]
// x, dx: NHWC   w, dw: RSCK   y, dy: NPQK   b, db: K.   The common contract is in docs/kernels.md; conv2d adds:
//  - b and db may be null.
//  - workspace: at least <pass>_workspace_bytes(geometry, threads); a smaller one than num_threads() needs costs threads.
//  - fprop and dgrad: each output is one sum in one order, whatever the cut into blocks.
//  - wgrad: images are cut into conv2d_wgrad_parts(geometry) parts; partial sums are added in part order.
// Dense is this with n = h = p = r = s = 1 and its rows as w = q pixels.
#pragma once
#include <cstddef>
#include <cstdint>

#include "common/isa.h"

namespace fastconv {

struct Conv2DGeometry {
  int64_t n, h, w, c, k, r, s, p, q;
  int64_t stride_h, stride_w, pad_top, pad_left;
};

// A rectangle of outputs of one image, the unit of work of fprop (rows p, pixels q, filters k) and of dgrad (rows h,
// pixels w, channels c). Only a stride-1 convolution that needs no padded columns is cut in its pixels.
struct Conv2DBlock {
  int64_t image, row_begin, row_end, pixel_begin, pixel_end, channel_begin, channel_end;
};

// Output rows that wgrad multiplies before it moves on: their dy and the x they meet stay in the first-level cache.
static inline int64_t conv2d_wgrad_rows_per_block(const Conv2DGeometry& g) noexcept {
  constexpr int64_t kCacheFloats = 6144;  // half of a 48 KiB cache; 3/4 of a 32 KiB one
  const int64_t row = ((g.q - 1) * g.stride_w + g.s) * g.c * g.stride_h + g.q * g.k;
  const int64_t rows = row < kCacheFloats ? kCacheFloats / row : 1;
  return rows < g.p ? rows : g.p;
}

// ---- host entry points (conv2d.cpp) ----
void conv2d_check(const Conv2DGeometry& g);  // throws std::invalid_argument

size_t conv2d_fprop_workspace_bytes(const Conv2DGeometry& g, int threads);
void conv2d_fprop(const Conv2DGeometry& g, const float* x, const float* w, const float* b, float* y, float* workspace,
                  size_t workspace_bytes);

size_t conv2d_dgrad_workspace_bytes(const Conv2DGeometry& g, int threads);
void conv2d_dgrad(const Conv2DGeometry& g, const float* dy, const float* w, float* dx, float* workspace,
                  size_t workspace_bytes);

size_t conv2d_wgrad_workspace_bytes(const Conv2DGeometry& g, int threads);
void conv2d_wgrad(const Conv2DGeometry& g, const float* x, const float* dy, float* dw, float* db, float* workspace,
                  size_t workspace_bytes);

// ---- kernels, one version per instruction set (fprop_simd.cpp, dgrad_simd.cpp, wgrad_simd.cpp) ----
// scratch: room for the padded rows that a block reads; null where the convolution needs none (no padded columns).
// packed_w: w as dgrad reads it, by phase, see dgrad_simd.cpp.
// wgrad overwrites dw[r][sc_begin..sc_end) for all r with the sum over the images [begin, end), and db unless null;
// sc counts the contiguous run of S*C weights of one filter row.
#define FASTCONV_DECLARE_CONV2D(isa)                                                                                  \
  namespace isa {                                                                                                     \
  void conv2d_fprop_block(const Conv2DGeometry& g, const float* x, const float* w, const float* b, float* y,          \
                          float* scratch, const Conv2DBlock& block) noexcept;                                         \
  void conv2d_dgrad_pack(const Conv2DGeometry& g, const float* w, float* packed_w, int64_t r, int64_t s,              \
                         int64_t c_begin, int64_t c_end) noexcept;                                                    \
  void conv2d_dgrad_block(const Conv2DGeometry& g, const float* dy, const float* packed_w, float* dx, float* scratch, \
                          const Conv2DBlock& block) noexcept;                                                         \
  void conv2d_wgrad_range(const Conv2DGeometry& g, const float* x, const float* dy, float* dw, float* db,             \
                          float* scratch, int64_t image_begin, int64_t image_end, int64_t sc_begin,                   \
                          int64_t sc_end) noexcept;                                                                   \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_CONV2D)
#undef FASTCONV_DECLARE_CONV2D

}  // namespace fastconv
