// The register tile that fprop and dgrad share, and the loops that cover a row of outputs with it. Built once per
// instruction set; included by fprop_simd.cpp and dgrad_simd.cpp only.
//
// Both passes are one operation: for each output pixel of a row, `rows` runs of `run` consecutive inputs are multiplied
// with as many rows of weights. Filter columns and channels form one run because the padded row holds them side by
// side, so a 3-channel first layer runs the same inner loop (9 long) as a 64-channel one (192 long).
#pragma once
#include "common/simd.h"

namespace fastconv::FASTCONV_ISA {
namespace {

// Pixels and vectors of outputs held in registers: sums + weights + one broadcast fit 32 (AVX-512, NEON) or 16 registers.
constexpr int kTilePixels = FASTCONV_TARGET == 3 || FASTCONV_TARGET == 1 ? 12 : FASTCONV_TARGET == 2 ? 6 : 4;
constexpr int kTileVectors = 2;
constexpr int kLine = 16;  // floats of a cache line
constexpr int kGroup = 3;  // pixels addressed from one pointer: base, base + step, base + 2 * step

struct TileRow {
  const float* x;  // first input of the first pixel's run in the first filter row
  int64_t x_row;   // floats between the runs of two filter rows
  int64_t x_step;  // floats between two output pixels' inputs
  int64_t rows, run;
  const float* w;  // first channel of rows * run rows of weights, w_pitch floats apart
  int64_t w_pitch;
  const float* b;      // null, or where the sums start
  float* y;            // first channel of the first pixel
  int64_t y_step;      // floats between two output pixels
  int64_t beyond = 0;  // the last inputs of the last pixel's runs that lie outside x: left out
  int64_t ahead = 0;   // rows of x to prefetch, those that follow: one with each filter row
};

// Adds the products of the next `count` inputs of the first kActive pixels' runs; returns the weights that follow.
// Always inlined, or the sums would lie in memory.
template <int kActive, bool kPartial, int kPixels, int kVectors, int kGroups>
[[gnu::always_inline]] inline const float* tile_run(const TileRow& t, int64_t count, const float* w, int lanes,
                                                    const float* (&pixel)[kGroups],
                                                    f32v (&sum)[kPixels][kVectors]) noexcept {
  constexpr int kLast = kVectors - 1;
  const int64_t step = t.x_step;
  for (int64_t i = 0; i < count; ++i, w += t.w_pitch) {
    f32v weight[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v)
      weight[v] = kPartial && v == kLast ? load_partial(w + v * kLanes, lanes) : load(w + v * kLanes);
#pragma GCC unroll 16
    for (int j = 0; j < kActive; ++j) {
      const f32v a = broadcast(pixel[j / kGroup][(j % kGroup) * step]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[j][v] = fma(a, weight[v], sum[j][v]);
    }
#pragma GCC unroll 16
    for (int g = 0; g < kGroups; ++g) ++pixel[g];
  }
  return w;
}

// kBeyond: t.beyond counts, for the tile's last pixel is the row's.
template <int kPixels, int kVectors, bool kPartial, bool kBeyond>
inline void tile(const TileRow& t, const float* x, float* y, int lanes) noexcept {
  constexpr int kGroups = (kPixels + kGroup - 1) / kGroup;
  constexpr int kLast = kVectors - 1;
  f32v sum[kPixels][kVectors];
  for (int v = 0; v < kVectors; ++v) {
    const float* start = t.b + v * kLanes;
    const f32v b = !t.b ? zero() : kPartial && v == kLast ? load_partial(start, lanes) : load(start);
#pragma GCC unroll 16
    for (int j = 0; j < kPixels; ++j) sum[j][v] = b;
  }
#pragma GCC unroll 16
  for (int j = 0; j < kPixels; ++j)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) __builtin_prefetch(y + j * t.y_step + v * kLanes, 1);
  const float* w = t.w;
  const int64_t step = t.x_step;
  for (int64_t row = 0; row < t.rows; ++row) {
    const float* pixel[kGroups];
#pragma GCC unroll 16
    for (int i = 0; i < kGroups; ++i) pixel[i] = x + row * t.x_row + i * kGroup * step;
    if (row < t.ahead)  // not all at once, which took 2.65 ms instead of 2.5 for 256 images of cnn's conv2
      for (int64_t i = 0; i < kPixels * step; i += kLine) __builtin_prefetch(x + (t.rows + row) * t.x_row + i);
    w = tile_run<kPixels, kPartial>(t, kBeyond ? t.run - t.beyond : t.run, w, lanes, pixel, sum);
    if constexpr (kBeyond) w = tile_run<kPixels - 1, kPartial>(t, t.beyond, w, lanes, pixel, sum);
  }
#pragma GCC unroll 16
  for (int j = 0; j < kPixels; ++j) {
    float* out = y + j * t.y_step;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      if (kPartial && v == kLast)
        store_partial(out + v * kLanes, sum[j][v], lanes);
      else
        store(out + v * kLanes, sum[j][v]);
    }
  }
}

// The tile with `pixels` <= kPixels pixels, found by counting down: the widths are compile-time constants.
template <int kPixels, int kVectors, bool kPartial, bool kBeyond>
inline void tile_of(int64_t pixels, const TileRow& t, const float* x, float* y, int lanes) noexcept {
  if constexpr (kPixels == 1) {
    tile<1, kVectors, kPartial, kBeyond>(t, x, y, lanes);
  } else {
    if (pixels == kPixels)
      tile<kPixels, kVectors, kPartial, kBeyond>(t, x, y, lanes);
    else
      tile_of<kPixels - 1, kVectors, kPartial, kBeyond>(pixels, t, x, y, lanes);
  }
}

template <int kVectors, bool kPartial>
inline void tile_pixels(const TileRow& t, int64_t pixels, int lanes) noexcept {
  // Tiles of nearly equal width: 16 pixels as 8 + 8, not 12 + 4, since a narrow tile waits for its few sums.
  int64_t tiles = (pixels + kTilePixels - 1) / kTilePixels;
  for (int64_t done = 0; done < pixels; --tiles) {
    const int64_t width = (pixels - done + tiles - 1) / tiles;
    const float* x = t.x + done * t.x_step;
    float* y = t.y + done * t.y_step;
    if (tiles == 1 && t.beyond)
      tile_of<kTilePixels, kVectors, kPartial, true>(width, t, x, y, lanes);
    else
      tile_of<kTilePixels, kVectors, kPartial, false>(width, t, x, y, lanes);
    done += width;
  }
}

// How many output channels one sweep over a block's rows computes: its weights are read again for every tile.
constexpr int64_t kChannelsPerSweep = kTileVectors * kLanes;

// `pixels` outputs of one row, the first `channels` <= kChannelsPerSweep of each.
inline void tile_row(const TileRow& t, int64_t pixels, int64_t channels) noexcept {
  if (channels == 2 * kLanes)
    tile_pixels<2, false>(t, pixels, kLanes);
  else if (channels > kLanes)
    tile_pixels<2, true>(t, pixels, int(channels - kLanes));
  else if (channels == kLanes)
    tile_pixels<1, false>(t, pixels, kLanes);
  else
    tile_pixels<1, true>(t, pixels, int(channels));
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
