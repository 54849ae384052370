// dx = the gradient of conv's input for one block of dx. Built once per instruction set.
//
// dx[h,w,c] sums dy[p,q,k] * w[r,s,c,k] over the taps with p*stride_h + r - pad_top = h, q*stride_w + s - pad_left = w.
// A row h meets only the taps r = (h + pad_top) mod stride_h, + stride_h, ...: with the taps reversed, each of the
// stride_h * stride_w phases of (h, w) is a stride-1 convolution of dy with its own small filter, and no product with
// an inserted zero is ever made (after the "strided dgrad" of CUTLASS). The tile is the one of fprop.
//
// packed_w holds the phases one after another, each as [taps of r, reversed][taps of s, reversed][K][C].
#include "conv2d/conv2d.h"
#include "conv2d/tile.h"

namespace fastconv::FASTCONV_ISA {
namespace {

// The taps of one dimension that touch positions `phase`, phase + stride, ...
struct Phase {
  int64_t first_tap;  // smallest tap
  int64_t taps;       // how many: first_tap, first_tap + stride, ...
  int64_t base;       // the output position that first_tap reads for position `phase`
};

inline Phase phase_of(int64_t phase, int64_t stride, int64_t pad, int64_t size) noexcept {
  Phase result;
  result.first_tap = (phase + pad) % stride;
  result.taps = result.first_tap < size ? (size - result.first_tap + stride - 1) / stride : 0;
  result.base = (phase + pad - result.first_tap) / stride;
  return result;
}

// Floats of packed_w before the filter whose smallest taps are (first_r, first_s).
inline int64_t packed_offset(const Conv2DGeometry& g, int64_t first_r, int64_t first_s) noexcept {
  int64_t taps = 0;
  for (int64_t r = 0; r < first_r; ++r) taps += (g.r - r + g.stride_h - 1) / g.stride_h * g.s;
  const int64_t rows = (g.r - first_r + g.stride_h - 1) / g.stride_h;
  for (int64_t s = 0; s < first_s; ++s) taps += rows * ((g.s - s + g.stride_w - 1) / g.stride_w);
  return taps * g.k * g.c;
}

}  // namespace

void conv2d_dgrad_pack(const Conv2DGeometry& g, const float* w, float* packed_w, int64_t r, int64_t s, int64_t c_begin,
                       int64_t c_end) noexcept {
  const int64_t first_r = r % g.stride_h, first_s = s % g.stride_w;
  const int64_t rows = (g.r - first_r + g.stride_h - 1) / g.stride_h;
  const int64_t columns = (g.s - first_s + g.stride_w - 1) / g.stride_w;
  const int64_t row = rows - 1 - r / g.stride_h, column = columns - 1 - s / g.stride_w;
  const float* from = w + (r * g.s + s) * g.c * g.k;
  float* to = packed_w + packed_offset(g, first_r, first_s) + (row * columns + column) * g.k * g.c;
  constexpr int64_t kBlock = 16;  // a 16 x 16 block touches 16 cache lines on either side
  for (int64_t k0 = 0; k0 < g.k; k0 += kBlock) {
    const int64_t k_end = k0 + kBlock < g.k ? k0 + kBlock : g.k;
    for (int64_t k = k0; k < k_end; ++k)
      for (int64_t c = c_begin; c < c_end; ++c) to[k * g.c + c] = from[c * g.k + k];
  }
}

void conv2d_dgrad_block(const Conv2DGeometry& g, const float* dy, const float* packed_w, float* dx, float* scratch,
                        const Conv2DBlock& block) noexcept {
  const float* image = dy + block.image * g.p * g.q * g.k;
  int64_t first_row = 0, first_column = 0, pitch = g.q * g.k;  // of the dy rows that `image` points to
  if (scratch) {
    const int64_t taps_h = (g.r - 1) / g.stride_h, taps_w = (g.s - 1) / g.stride_w;
    first_column = g.pad_left / g.stride_w - taps_w;  // at most 0, since pad_left < s
    const int64_t last_column = (g.w - 1 + g.pad_left) / g.stride_w;
    pitch = (last_column + 1 - first_column) * g.k;
    first_row = (block.row_begin + g.pad_top) / g.stride_h - taps_h;
    if (first_row < 0) first_row = 0;
    int64_t last_row = (block.row_end - 1 + g.pad_top) / g.stride_h + 1;
    if (last_row > g.p) last_row = g.p;
    copy_padded_rows(image, g.q, g.k, first_row, last_row, -first_column, pitch, scratch);
    image = scratch;
  }
  TileRow t;
  t.x_row = pitch;
  t.x_step = g.k;
  t.w_pitch = g.c;
  t.b = nullptr;
  t.y_step = g.stride_w * g.c;
  for (int64_t c = block.channel_begin; c < block.channel_end; c += kChannelsPerSweep) {
    const int64_t rest = block.channel_end - c;
    const int64_t channels = rest < kChannelsPerSweep ? rest : kChannelsPerSweep;
    for (int64_t h = block.row_begin; h < block.row_end; ++h) {
      const Phase rows = phase_of(h, g.stride_h, g.pad_top, g.r);
      const int64_t top = rows.base - (rows.taps - 1);  // dy row of the first (reversed) tap
      const int64_t skip = top < 0 ? -top : 0;
      const int64_t end = g.p - top < rows.taps ? g.p - top : rows.taps;
      for (int64_t phase = 0; phase < g.stride_w && phase < g.w; ++phase) {
        const Phase columns = phase_of(phase, g.stride_w, g.pad_left, g.s);
        t.run = columns.taps * g.k;
        t.rows = columns.taps ? end - skip : 0;
        t.w = packed_w;
        t.x = image;
        if (t.rows > 0) {
          const int64_t left = columns.base - (columns.taps - 1) - first_column;
          t.x = image + (top + skip - first_row) * pitch + (left + block.pixel_begin) * g.k;
          t.w = packed_w + packed_offset(g, rows.first_tap, columns.first_tap) + skip * t.run * g.c;
        }
        t.y = dx + ((block.image * g.h + h) * g.w + block.pixel_begin + phase) * g.c;
        tile_row(t, (block.pixel_end - block.pixel_begin - phase + g.stride_w - 1) / g.stride_w, c, channels);
      }
    }
  }
}

}  // namespace fastconv::FASTCONV_ISA
