// A 3x3 convolution of stride 1 through winograd.h: how fprop, dgrad and wgrad lay out the rows it reads, and where it is
// chosen. Host side only.
#pragma once
#include "conv2d/rows.h"
#include "conv2d/winograd.h"

namespace fastconv {

// Whether the passes over this geometry go through Winograd's algorithm: where it is allowed (conv2d_allow_winograd),
// possible and faster for a batch. By shape, not by the number of images: an image's result does not depend on the
// others.
bool conv2d_uses_winograd(const Conv2DGeometry& g);

// One pass as a convolution from `in` (x, or dy for dgrad) to outputs of p x q pixels.
struct WinogradPass {
  WinogradShape shape;  // of one image
  RowLayout in;
  int64_t pad_top;  // rows of zeros before the first row of `in`

  static WinogradPass fprop(const Conv2DGeometry& g) {
    return {{1, g.p, g.q, g.c, g.k}, layout(g.h, g.w, g.c, g.pad_left, winograd_padded(g.q)), g.pad_top};
  }
  // Also what wgrad reads of dy: whole 4 x 4 tiles from the first row and column of dy on.
  static WinogradPass dgrad(const Conv2DGeometry& g) {
    const int64_t left = 2 - g.pad_left, width = std::max(winograd_padded(g.w), left + round_up(g.q, 4));
    return {{1, g.h, g.w, g.k, g.c}, layout(g.p, g.q, g.k, left, width), 2 - g.pad_top};
  }

  // Output rows of a band whose copied input rows fit `floats`.
  int64_t band_rows(int64_t floats) const {
    const int64_t rows = (floats / in.pitch() - 2) / 4 * 4;
    return std::clamp<int64_t>(rows, 4, (shape.p + 3) / 4 * 4);
  }
  // Images to work on at once, of n, in bands of so many rows.
  int64_t images_at_once(int64_t n, int64_t band) const {
    return band < shape.p ? 1 : winograd_images_at_once({n, shape.p, shape.q, shape.c, shape.k});
  }
  int64_t rows_floats(int64_t band) const { return in.floats(winograd_padded(band)); }  // of an image
  int64_t scratch_floats(int64_t images, int64_t band) const {
    return whole_lines(winograd_scratch_floats(banded(images, band)));
  }
  int64_t weight_floats() const { return whole_lines(winograd_weight_floats(shape.c, shape.k)); }

  WinogradShape banded(int64_t images, int64_t rows) const { return {images, rows, shape.q, shape.c, shape.k}; }

  // The input row that a band of outputs starts at, and the one it ends before.
  int64_t first_row(int64_t row) const { return row - pad_top; }
  int64_t end_row(int64_t row, int64_t rows) const { return first_row(row) + winograd_padded(rows); }

  // `rows` holds the first image's; the others' follow `image_pitch` floats apart.
  WinogradInput input(const Conv2DRows& rows, int64_t row, int64_t image_pitch) const {
    return {rows.at + (first_row(row) - rows.first) * rows.pitch, image_pitch, rows.pitch};
  }

  // u from w by all threads.
  void weights(const float* w, bool transposed, float* u) const;

  // Outputs [row, row_end) of consecutive images, from their input rows.
  void convolve(const Conv2DRows& rows, int64_t image_pitch, int64_t images, int64_t row, int64_t row_end,
                const float* u, const float* b, float* y_image, float* scratch) const {
    const int64_t pitch = shape.q * shape.k;
    FASTCONV_PICK(winograd_fprop)
    (banded(images, row_end - row), input(rows, row, image_pitch), u, b,
     {y_image + row * pitch, shape.p * pitch, pitch}, scratch);
  }

 private:
  static RowLayout layout(int64_t rows, int64_t columns, int64_t channels, int64_t left, int64_t width) {
    return {rows, columns, channels, left, std::max(width, left + columns), true, true};
  }
};

}  // namespace fastconv
