// dx = the gradient of conv's input for one block of dx. Built once per instruction set.
//
// dx[h,w,c] sums dy[p,q,k] * w[r,s,c,k] over the taps with p*stride_h + r - pad_top = h, q*stride_w + s - pad_left = w.
// A row h meets only the taps r = (h + pad_top) mod stride_h, + stride_h, ...: with the taps reversed, each of the
// stride_h * stride_w phases of (h, w) is a stride-1 convolution of dy with its own small filter, and no product with
// an inserted zero is ever made (after the "strided dgrad" of CUTLASS). The tile is the one of fprop.
//
// packed_w holds the phases one after another, each as [C / kChannelsPerSweep][taps of r, reversed][taps of s,
// reversed][K][kChannelsPerSweep]: what a tile reads is one contiguous run. (With 4096 channels in a row, as in a dense
// layer, each of its loads met the same set of the first-level cache.) A phase of few channels that goes through the thin
// tile is [C][taps of r, reversed][taps of s, reversed][K].
#include "conv2d/conv2d.h"
#include "conv2d/thin_tile.h"
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

// Turns kLanes rows into kLanes columns: each round is one step of a perfect shuffle.
inline void transpose(f32v (&v)[kLanes]) noexcept {
  for (int round = 1; round < kLanes; round *= 2) {
    f32v t[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes / 2; ++i) {
      t[2 * i] = zip_low(v[i], v[i + kLanes / 2]);
      t[2 * i + 1] = zip_high(v[i], v[i + kLanes / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) v[i] = t[i];
  }
}

// to[k * width + c] = from[c * k_count + k] for `width` channels and all filters.
inline void pack_channels(const float* from, int64_t k_count, int64_t width, float* to) noexcept {
  int64_t k = 0;
  if (width % kLanes == 0) {
    for (; k + kLanes <= k_count; k += kLanes) {
      for (int64_t c = 0; c < width; c += kLanes) {
        f32v v[kLanes];
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) v[i] = load(from + (c + i) * k_count + k);
        transpose(v);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) store(to + (k + i) * width + c, v[i]);
      }
    }
  }
  for (; k < k_count; ++k)
    for (int64_t c = 0; c < width; ++c) to[k * width + c] = from[c * k_count + k];
}

}  // namespace

void conv2d_dgrad_pack(const Conv2DGeometry& g, const float* w, float* packed_w, int64_t r, int64_t s, int64_t c_begin,
                       int64_t c_end) noexcept {
  const int64_t first_r = r % g.stride_h, first_s = s % g.stride_w;
  const int64_t rows = (g.r - first_r + g.stride_h - 1) / g.stride_h;
  const int64_t columns = (g.s - first_s + g.stride_w - 1) / g.stride_w;
  const int64_t tap = (rows - 1 - r / g.stride_h) * columns + columns - 1 - s / g.stride_w;
  const float* from = w + (r * g.s + s) * g.c * g.k;
  float* to = packed_w + packed_offset(g, first_r, first_s);
  if (thin_pays(rows, columns * g.k, g.c)) {
    for (int64_t c = c_begin; c < c_end; ++c)
      for (int64_t k = 0; k < g.k; ++k) to[(c * rows * columns + tap) * g.k + k] = from[c * g.k + k];
    return;
  }
  for (int64_t c = c_begin; c < c_end; c += kChannelsPerSweep) {
    const int64_t width = g.c - c < kChannelsPerSweep ? g.c - c : kChannelsPerSweep;
    pack_channels(from + c * g.k, g.k, width, to + (rows * columns * c + tap * width) * g.k);
  }
}

void conv2d_dgrad_block(const Conv2DGeometry& g, const Conv2DRows& dy, const float* packed_w, float* dx,
                        const Conv2DBlock& block) noexcept {
  TileRow t;
  t.x_row = dy.pitch;
  t.x_step = g.k;
  t.b = nullptr;
  t.y_step = g.stride_w * g.c;
  for (int64_t c = block.channel_begin; c < block.channel_end; c += kChannelsPerSweep) {
    const int64_t rest = g.c - c;
    const int64_t channels = rest < kChannelsPerSweep ? rest : kChannelsPerSweep;
    for (int64_t h = block.row_begin; h < block.row_end; ++h) {
      const Phase rows = phase_of(h, g.stride_h, g.pad_top, g.r);
      const int64_t top = rows.base - (rows.taps - 1);  // dy row of the first (reversed) tap
      const int64_t skip = top < 0 ? -top : 0;
      const int64_t end = g.p - top < rows.taps ? g.p - top : rows.taps;
      for (int64_t phase = 0; phase < g.stride_w && phase < g.w; ++phase) {
        const Phase columns = phase_of(phase, g.stride_w, g.pad_left, g.s);
        t.run = columns.taps * g.k;
        const bool thin = thin_pays(rows.taps, t.run, g.c);
        t.w_pitch = thin ? rows.taps * t.run : channels;
        t.rows = columns.taps ? end - skip : 0;
        t.w = packed_w;
        t.x = dy.at;
        if (t.rows > 0) {
          const int64_t left = columns.base - (columns.taps - 1) - conv2d_dgrad_first_column(g);
          t.x = dy.at + (top + skip - dy.first) * dy.pitch + (left + block.pixel_begin) * g.k;
          t.w = packed_w + packed_offset(g, rows.first_tap, columns.first_tap) + rows.taps * t.run * c +
                skip * t.run * (thin ? 1 : channels);
        }
        t.y = dx + ((block.image * g.h + h) * g.w + block.pixel_begin + phase) * g.c + c;
        const int64_t pixels = (block.pixel_end - block.pixel_begin - phase + g.stride_w - 1) / g.stride_w;
        (thin ? thin_row : tile_row)(t, pixels, channels);
      }
    }
  }
}

}  // namespace fastconv::FASTCONV_ISA
