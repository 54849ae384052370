// y = conv(x, w) + b for one block of outputs. Built once per instruction set.
// The rows a block reads are first copied to scratch with zeros at their ends, so the tile has no edge to test for;
// filter rows that lie above or below the image are skipped instead.
#include "conv2d/conv2d.h"
#include "conv2d/tile.h"

namespace fastconv::FASTCONV_ISA {

void conv2d_fprop_block(const Conv2DGeometry& g, const float* x, const float* w, const float* b, float* y,
                        float* scratch, const Conv2DBlock& block) noexcept {
  const float* image = x + block.image * g.h * g.w * g.c;
  int64_t first_row = 0, pitch = g.w * g.c;  // of the rows that `image` points to
  if (scratch) {
    pitch = ((g.q - 1) * g.stride_w + g.s) * g.c;
    first_row = block.row_begin * g.stride_h - g.pad_top;
    if (first_row < 0) first_row = 0;
    int64_t last_row = (block.row_end - 1) * g.stride_h - g.pad_top + g.r;
    if (last_row > g.h) last_row = g.h;
    copy_padded_rows(image, g.w, g.c, first_row, last_row, g.pad_left, pitch, scratch);
    image = scratch;
  }
  TileRow t;
  t.x_row = pitch;
  t.x_step = g.stride_w * g.c;
  t.run = g.s * g.c;
  t.w_pitch = g.k;
  t.b = b;
  t.y_step = g.k;
  for (int64_t k = block.channel_begin; k < block.channel_end; k += kChannelsPerSweep) {
    const int64_t rest = block.channel_end - k;
    const int64_t channels = rest < kChannelsPerSweep ? rest : kChannelsPerSweep;
    for (int64_t p = block.row_begin; p < block.row_end; ++p) {
      const int64_t top = p * g.stride_h - g.pad_top;
      const int64_t r_begin = top < 0 ? -top : 0;
      int64_t r_end = g.h - top;
      if (r_end > g.r) r_end = g.r;
      t.rows = r_end - r_begin;  // not positive where the whole filter lies in the padding
      t.x = image + (top + r_begin - first_row) * pitch + block.pixel_begin * t.x_step;
      t.w = w + r_begin * t.run * g.k;
      t.y = y + ((block.image * g.p + p) * g.q + block.pixel_begin) * g.k;
      tile_row(t, block.pixel_end - block.pixel_begin, k, channels);
    }
  }
}

}  // namespace fastconv::FASTCONV_ISA
