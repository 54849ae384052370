// Conv2D: y[n,p,q,k] = b[k] + sum_{r,s,c} x[n, p*stride_h + r - pad_top, q*stride_w + s - pad_left, c] * w[r,s,c,k]
// x, dx: NHWC   w, dw: RSCK   y, dy: NPQK   b, db: K.   The common contract is in docs/kernels.md; conv2d adds:
//  - b and db may be null.
//  - workspace: at least <pass>_workspace_bytes(...); a smaller one than num_threads() needs costs threads.
//  - fprop and dgrad: each output is one sum in one order, whatever the cut into blocks.
//  - wgrad: images are cut into parts by shape; partial sums are added in part order.
// Dense is this with n = h = p = r = s = 1 and its rows as w = q pixels.
#pragma once
#include <cstddef>
#include <cstdint>

#include "batchnorm/batchnorm.h"
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

// Rows of one image that a kernel reads: `at` is row `first`, its leftmost column, `pitch` floats from row to row. The
// leftmost column of x is -pad_left, that of dy conv2d_dgrad_first_column for dgrad and 0 for wgrad.
struct Conv2DRows {
  const float* at;
  int64_t first, pitch;
};

// The first column of dy that column 0 of dx meets; at most 0, since pad_left < s.
static inline int64_t conv2d_dgrad_first_column(const Conv2DGeometry& g) noexcept {
  return g.pad_left / g.stride_w - (g.s - 1) / g.stride_w;
}

// ---- host entry points ----
// Convolutions of 3x3 and stride 1 go through Winograd's algorithm where it is faster, unless it is not allowed.
void conv2d_allow_winograd(bool allow) noexcept;
bool conv2d_allows_winograd() noexcept;

void conv2d_check(const Conv2DGeometry& g);  // throws std::invalid_argument

// An input as it lies in memory and what is done to it on load: `norm` (null: nothing) is applied to each row as it is
// copied for the kernel.
template <class Number>
struct Conv2DInputOf {
  const Number* data;
  const BatchNormTransform* norm;
};
using Conv2DInput = Conv2DInputOf<float>;

// fprop.cpp; `statistics` (null: none) are those of y, computed while it is in cache.
size_t conv2d_fprop_workspace_bytes(const Conv2DGeometry& g, bool norm, bool statistics, int threads);
void conv2d_fprop(const Conv2DGeometry& g, const Conv2DInput& x, const float* w, const float* b, float* y,
                  const BatchNormStatistics* statistics, float* workspace, size_t workspace_bytes);

// dgrad.cpp
size_t conv2d_dgrad_workspace_bytes(const Conv2DGeometry& g, int threads);
void conv2d_dgrad(const Conv2DGeometry& g, const float* dy, const float* w, float* dx, float* workspace,
                  size_t workspace_bytes);

// wgrad.cpp
size_t conv2d_wgrad_workspace_bytes(const Conv2DGeometry& g, bool norm, int threads);
void conv2d_wgrad(const Conv2DGeometry& g, const Conv2DInput& x, const float* dy, float* dw, float* db,
                  float* workspace, size_t workspace_bytes);

// backward.cpp: wgrad and dgrad image by image, while dy and x are in cache, and what lies on either side of them:
//  - y_norm, y_gradients: dy is the gradient of the normalized y, and becomes that of y on load.
//  - x.norm, x_gradients: dx is the gradient of the normalized x; its batch normalization's sums are taken as dx is made.
//  - x_source: the weight gradient of the convolution that made x is summed from dx, which is stored nowhere; it needs
//    w, x.norm, whose mean is that of x, and x_gradients.
// All five may be null, dx and db too.
struct Conv2DSource {
  Conv2DGeometry geometry;
  const float *x, *w;
  float* dw;
};

template <class Number>
struct Conv2DBackwardOf {
  Conv2DInputOf<Number> x;
  const Number *dy, *y;
  const BatchNormTransform* y_norm;
  const BatchNormGradients* y_gradients;
  const float* w;
  Number* dx;
  float *dw, *db;
  const BatchNormGradients* x_gradients;
  const Conv2DSource* x_source;
};
using Conv2DBackward = Conv2DBackwardOf<float>;

// Whether there are images enough to share out and two of them fit a level-2 cache; else two passes are faster. With
// x_source (may be null) dx has to fit too, and a filter row must not have more inputs than there are filters, since their
// products with each other are summed as well.
bool conv2d_backward_fits(const Conv2DGeometry& g, const Conv2DGeometry* x_source);
size_t conv2d_backward_workspace_bytes(const Conv2DGeometry& g, bool y_norm, bool x_norm, bool dx,
                                       const Conv2DGeometry* x_source, int threads);
void conv2d_backward(const Conv2DGeometry& g, const Conv2DBackward& arguments, float* workspace,
                     size_t workspace_bytes);

// ---- kernels, one version per instruction set (fprop_simd.cpp, dgrad_simd.cpp, wgrad_simd.cpp) ----
// fprop_block reads w as it lies, or packed: [K / kChannelsPerSweep][R][S*C][kChannelsPerSweep]; of few filters, where
// fprop_is_thin, always packed: [K][R][S*C].
// packed_w: w as dgrad reads it, by phase, see dgrad_simd.cpp.
// wgrad adds rows [row_begin, row_end) of one image to dw[r][sc_begin..sc_end) for all r, and to db unless null; sc
// counts the contiguous run of S*C weights of one filter row. wgrad_bias adds them to db alone. wgrad_squares adds to
// sums[i][j] the products of inputs i and j of a filter row's run, for `rows` rows of outputs whose first rows of x, `pitch`
// floats from row to row, are x and `next`.
#define FASTCONV_DECLARE_CONV2D(isa)                                                                                 \
  namespace isa {                                                                                                    \
  bool conv2d_fprop_is_thin(const Conv2DGeometry& g) noexcept;                                                       \
  void conv2d_fprop_pack(const Conv2DGeometry& g, const float* w, float* packed_w, int64_t row_begin,                \
                         int64_t row_end) noexcept;                                                                  \
  void conv2d_fprop_block(const Conv2DGeometry& g, const Conv2DRows& x, const float* w, bool packed, const float* b, \
                          float* y, const Conv2DBlock& block) noexcept;                                              \
  void conv2d_dgrad_pack(const Conv2DGeometry& g, const float* w, float* packed_w, int64_t r, int64_t s,             \
                         int64_t c_begin, int64_t c_end) noexcept;                                                   \
  void conv2d_dgrad_block(const Conv2DGeometry& g, const Conv2DRows& dy, const float* packed_w, float* dx,           \
                          const Conv2DBlock& block) noexcept;                                                        \
  void conv2d_wgrad_rows(const Conv2DGeometry& g, const Conv2DRows& x, const Conv2DRows& dy, float* dw, float* db,   \
                         int64_t row_begin, int64_t row_end, int64_t sc_begin, int64_t sc_end) noexcept;             \
  void conv2d_wgrad_squares(const Conv2DGeometry& g, const float* x, const float* next, int64_t pitch, int64_t rows, \
                            float* sums) noexcept;                                                                   \
  void conv2d_wgrad_bias(const Conv2DGeometry& g, const Conv2DRows& dy, float* db, int64_t row_begin,                \
                         int64_t row_end) noexcept;                                                                  \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_CONV2D)
#undef FASTCONV_DECLARE_CONV2D

namespace cuda {  // the same on a stream; a workspace has the bytes of <pass>_workspace_bytes, or is null for 0
// Activations and their gradients are of `Number`, float or BFloat16 (common/cuda.cuh); with these, weights are rounded as
// they are loaded, and so is what batch normalization makes of the others. How tensor cores multiply float: "highest" as
// three products of TF32 numbers, "high" as one.
enum class Precision { highest, high };

// fprop.cu
size_t conv2d_fprop_workspace_bytes(const Conv2DGeometry& g, bool statistics);
template <class Number>
void conv2d_fprop(const Conv2DGeometry& g, const Conv2DInputOf<Number>& x, const float* w, const float* b, Number* y,
                  const BatchNormStatistics* statistics, Precision precision, float* workspace, void* stream);

// dgrad.cu
size_t conv2d_dgrad_workspace_bytes(const Conv2DGeometry& g);
template <class Number>
void conv2d_dgrad(const Conv2DGeometry& g, const Number* dy, const float* w, Number* dx, Precision precision,
                  float* workspace, void* stream);

// wgrad.cu
size_t conv2d_wgrad_workspace_bytes(const Conv2DGeometry& g);
template <class Number>
void conv2d_wgrad(const Conv2DGeometry& g, const Conv2DInputOf<Number>& x, const Number* dy, float* dw, float* db,
                  Precision precision, float* workspace, void* stream);

// backward.cu. Joint, of float alone: both gradients in one kernel, which reads dy and y once; x_source (may be null) is
// served there alone, and its w not read.
bool conv2d_backward_is_joint(const Conv2DGeometry& g, const Conv2DGeometry* x_source);
size_t conv2d_backward_workspace_bytes(const Conv2DGeometry& g, bool dx, bool x_gradients,
                                       const Conv2DGeometry* x_source);
template <class Number>
void conv2d_backward(const Conv2DGeometry& g, const Conv2DBackwardOf<Number>& arguments, Precision precision,
                     float* workspace, void* stream);
}  // namespace cuda

}  // namespace fastconv
