// The register tile of wgrad and the loop that covers a run of weights with it. Built once per instruction set; included
// by wgrad_simd.cpp and winograd_wgrad_simd.cpp only.
#pragma once
#include "conv2d/tile.h"

namespace fastconv::FASTCONV_ISA {
namespace {

struct WgradBlock {
  const float* x;  // run of the first pixel of the first row
  int64_t x_row, x_step;
  const float* dy;  // first channel of the first pixel of the first row
  int64_t dy_row, dy_step;
  int64_t rows, pixels;
  float* dw;  // those channels' weights of one filter row
  int64_t dw_pitch;
};

template <int kEntries, int kVectors, bool kPartial>
inline void wgrad_tile(const WgradBlock& t, int64_t sc, int lanes) noexcept {
  constexpr int kLast = kVectors - 1;
  f32v sum[kEntries][kVectors];
#pragma GCC unroll 16
  for (int j = 0; j < kEntries; ++j)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[j][v] = zero();
  for (int64_t row = 0; row < t.rows; ++row) {
    const float* x = t.x + row * t.x_row + sc;
    const float* dy = t.dy + row * t.dy_row;
    for (int64_t i = 0; i < t.pixels; ++i, x += t.x_step, dy += t.dy_step) {
      f32v d[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v)
        d[v] = kPartial && v == kLast ? load_partial(dy + v * kLanes, lanes) : load(dy + v * kLanes);
#pragma GCC unroll 16
      for (int j = 0; j < kEntries; ++j) {
        const f32v a = broadcast(x[j]);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) sum[j][v] = fma(a, d[v], sum[j][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int j = 0; j < kEntries; ++j) {
    float* to = t.dw + (sc + j) * t.dw_pitch;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const bool partial = kPartial && v == kLast;
      sum[j][v] = add(partial ? load_partial(to + v * kLanes, lanes) : load(to + v * kLanes), sum[j][v]);
      if (!kPartial) store(to + v * kLanes, sum[j][v]);
    }
  }
  // Partial vectors of neighbouring entries overlap: a load after such a store would wait for it to reach the cache.
  if constexpr (kPartial) {
#pragma GCC unroll 16
    for (int j = 0; j < kEntries; ++j) {
      float* to = t.dw + (sc + j) * t.dw_pitch;
#pragma GCC unroll 4
      for (int v = 0; v < kLast; ++v) store(to + v * kLanes, sum[j][v]);
      store_partial(to + kLast * kLanes, sum[j][kLast], lanes);
    }
  }
}

template <int kEntries, int kVectors, bool kPartial>
inline void wgrad_tile_of(int64_t entries, const WgradBlock& t, int64_t sc, int lanes) noexcept {
  if constexpr (kEntries == 1) {
    wgrad_tile<1, kVectors, kPartial>(t, sc, lanes);
  } else {
    if (entries == kEntries)
      wgrad_tile<kEntries, kVectors, kPartial>(t, sc, lanes);
    else
      wgrad_tile_of<kEntries - 1, kVectors, kPartial>(entries, t, sc, lanes);
  }
}

template <int kVectors, bool kPartial>
inline void wgrad_entries(const WgradBlock& t, int64_t sc_begin, int64_t sc_end, int lanes) noexcept {
  int64_t tiles = (sc_end - sc_begin + kTilePixels - 1) / kTilePixels;
  for (int64_t sc = sc_begin; sc < sc_end; --tiles) {
    const int64_t entries = (sc_end - sc + tiles - 1) / tiles;
    wgrad_tile_of<kTilePixels, kVectors, kPartial>(entries, t, sc, lanes);
    sc += entries;
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
