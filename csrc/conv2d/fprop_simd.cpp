// y = conv(x, w) + b for one block of outputs. Built once per instruction set.
// The rows it reads have zeros beside them where columns are padded, or end before the last pixel's run does, which
// then ends with them: the tile has no edge to test for. Filter rows that lie above or below the image are skipped.
#include "conv2d/conv2d.h"
#include "conv2d/thin_tile.h"
#include "conv2d/tile.h"

namespace fastconv::FASTCONV_ISA {

bool conv2d_fprop_is_thin(const Conv2DGeometry& g) noexcept { return thin_pays(g.r, g.s * g.c, g.k); }

void conv2d_fprop_pack(const Conv2DGeometry& g, const float* w, float* packed_w, int64_t row_begin,
                       int64_t row_end) noexcept {
  const int64_t rows = g.r * g.s * g.c;
  if (conv2d_fprop_is_thin(g)) {
    for (int64_t k = 0; k < g.k; ++k)
      for (int64_t row = row_begin; row < row_end; ++row) packed_w[k * rows + row] = w[row * g.k + k];
    return;
  }
  for (int64_t k = 0; k < g.k; k += kChannelsPerSweep) {
    const int64_t width = g.k - k < kChannelsPerSweep ? g.k - k : kChannelsPerSweep;
    float* to = packed_w + k * rows;
    for (int64_t row = row_begin; row < row_end; ++row)
      for (int64_t i = 0; i < width; ++i) to[row * width + i] = w[row * g.k + k + i];
  }
}

void conv2d_fprop_block(const Conv2DGeometry& g, const Conv2DRows& x, const float* w, bool packed, const float* b,
                        float* y, const Conv2DBlock& block) noexcept {
  TileRow t;
  t.x_row = x.pitch;
  t.x_step = g.stride_w * g.c;
  t.run = g.s * g.c;
  const int64_t reach = (g.q - 1) * t.x_step + t.run;  // where the last pixel's run ends in a row
  if (reach > x.pitch) {
    t.beyond = reach - x.pitch;
    t.ahead = g.stride_h;  // the rows are x itself: 256 images of conv2 of cnn take 2.5 ms, 4.8 without, 2.95 copied
  }
  t.y_step = g.k;
  const bool thin = conv2d_fprop_is_thin(g);
  for (int64_t k = block.channel_begin; k < block.channel_end; k += kChannelsPerSweep) {
    const int64_t rest = block.channel_end - k;
    const int64_t channels = rest < kChannelsPerSweep ? rest : kChannelsPerSweep;
    const float* w_sweep = packed ? w + k * g.r * t.run : w + k;
    t.w_pitch = thin ? g.r * t.run : packed ? channels : g.k;
    t.b = b ? b + k : nullptr;
    for (int64_t p = block.row_begin; p < block.row_end; ++p) {
      const int64_t top = p * g.stride_h - g.pad_top;
      const int64_t r_begin = top < 0 ? -top : 0;
      int64_t r_end = g.h - top;
      if (r_end > g.r) r_end = g.r;
      t.rows = r_end - r_begin;  // not positive where the whole filter lies in the padding
      t.x = x.at + (top + r_begin - x.first) * x.pitch + block.pixel_begin * t.x_step;
      t.w = w_sweep + r_begin * t.run * (thin ? 1 : t.w_pitch);
      t.y = y + ((block.image * g.p + p) * g.q + block.pixel_begin) * g.k + k;
      (thin ? thin_row : tile_row)(t, block.pixel_end - block.pixel_begin, channels);
    }
  }
}

}  // namespace fastconv::FASTCONV_ISA
