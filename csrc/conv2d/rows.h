// Rows of a tensor as the kernels read them: the tensor itself, or a copy with zero columns at its sides, or one that is
// computed on the way (batch normalization and activation of x, the gradient of batch normalization for dy), so that a
// tensor that exists only to be convolved is never stored.
#pragma once
#include <algorithm>
#include <cstring>

#include "batchnorm/batchnorm.h"
#include "conv2d/conv2d.h"

namespace fastconv {

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t multiple) { return ceil_div(a, multiple) * multiple; }
inline int64_t whole_lines(int64_t floats) { return ceil_div(floats, 16) * 16; }  // cache lines: slots share none

struct RowLayout {
  int64_t rows, columns, channels;  // of an image
  int64_t left, width;              // of a copied row: zero columns before the image's, and columns in all
  bool copied;
  bool zero_rows;  // rows outside the image are copied too, as zeros

  int64_t pitch() const { return (copied ? width : columns) * channels; }
  int64_t floats(int64_t count) const { return copied ? whole_lines(count * pitch()) : 0; }
};

inline RowLayout conv2d_x_layout(const Conv2DGeometry& g, bool computed) {
  const int64_t reach = (g.q - 1) * g.stride_w + g.s;
  const bool padded = g.pad_left > 0 || reach > g.w;
  return {g.h, g.w, g.c, g.pad_left, std::max(g.pad_left + g.w, reach), padded || computed, false};
}

inline RowLayout conv2d_dy_layout(const Conv2DGeometry& g, bool computed) {
  const int64_t left = -conv2d_dgrad_first_column(g), last = (g.w - 1 + g.pad_left) / g.stride_w;
  const bool padded = left > 0 || last >= g.q;
  return {g.p, g.q, g.k, left, std::max(left + g.q, left + last + 1), padded || computed, false};
}

// Rows [begin, end) of `image`; those outside it are zeros or left out. `compute(image_row, to, bands)` writes bands of rows.
template <typename Compute>
Conv2DRows computed_rows(const RowLayout& layout, const float* image, int64_t begin, int64_t end, float* scratch,
                         Compute&& compute) {
  if (!layout.copied) return {image, 0, layout.pitch()};
  const int64_t inside_begin = std::clamp<int64_t>(begin, 0, layout.rows);
  const int64_t inside_end = std::clamp<int64_t>(end, inside_begin, layout.rows);
  const int64_t first = layout.zero_rows ? begin : inside_begin, last = layout.zero_rows ? end : inside_end;
  const int64_t pitch = layout.pitch(), left = layout.left * layout.channels;
  const int64_t inside = layout.columns * layout.channels, right = pitch - left - inside;
  const auto row_at = [&](int64_t row) { return scratch + (row - first) * pitch; };
  for (int64_t row = first; row < inside_begin; ++row) std::memset(row_at(row), 0, sizeof(float) * pitch);
  for (int64_t row = inside_end; row < last; ++row) std::memset(row_at(row), 0, sizeof(float) * pitch);
  for (int64_t row = inside_begin; row < inside_end; ++row) {
    std::memset(row_at(row), 0, sizeof(float) * left);
    std::memset(row_at(row) + left + inside, 0, sizeof(float) * right);
  }
  if (inside_end > inside_begin)
    compute(image + inside_begin * inside, row_at(inside_begin) + left,
            BatchNormBands{inside_end - inside_begin, layout.columns, pitch});
  return {scratch, first, pitch};
}

// The rows of x, batch-normalized unless `norm` is null.
inline Conv2DRows x_rows(const RowLayout& layout, const float* image, const BatchNormTransform* norm, int64_t begin,
                         int64_t end, float* scratch) {
  return computed_rows(layout, image, begin, end, scratch,
                       [&](const float* from, float* to, const BatchNormBands& bands) {
                         if (norm) {
                           FASTCONV_PICK(batchnorm_forward_apply_bands)(from, layout.channels, *norm, to, bands);
                           return;
                         }
                         const int64_t count = bands.rows * layout.channels;
                         for (int64_t row = 0; row < bands.count; ++row)
                           std::memcpy(to + row * bands.pitch, from + row * count, sizeof(float) * count);
                       });
}

}  // namespace fastconv
