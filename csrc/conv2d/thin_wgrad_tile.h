// The register tile of wgrad with few filters, which would leave most lanes of wgrad_tile.h's vectors idle. Built once
// per instruction set; included by wgrad_simd.cpp only.
//
// The roles are exchanged: the lanes lie along the run of x, and each filter's dy is broadcast. The sums lie across dw
// and are added to it one by one, which only many pixels a sweep pay for.
#pragma once
#include "conv2d/thin_tile.h"
#include "conv2d/wgrad_tile.h"

namespace fastconv::FASTCONV_ISA {
namespace {

// Whether it takes fewer multiplications a pixel; with less than some 8 each would wait for the one before.
constexpr bool thin_wgrad_pays(int64_t run, int64_t filters) noexcept {
  return filters <= kThinChannels && filters * ((run + kLanes - 1) / kLanes) + 8 < run;
}

// Vectors of the run that fit the registers beside the filters' dy.
constexpr int thin_wgrad_vectors(int filters) noexcept {
  const int fit = (FASTCONV_TARGET == 3 || FASTCONV_TARGET == 1 ? 24 : 11) / filters;
  return fit < 8 ? fit : 8;
}

template <int kFilters, int kVectors, bool kPartial>
inline void thin_wgrad_tile(const WgradBlock& t, int64_t sc, int lanes) noexcept {
  constexpr int kLast = kVectors - 1;
  f32v sum[kFilters][kVectors];
#pragma GCC unroll 8
  for (int f = 0; f < kFilters; ++f)
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[f][v] = zero();
  for (int64_t row = 0; row < t.rows; ++row) {
    const float* x = t.x + row * t.x_row + sc;
    const float* dy = t.dy + row * t.dy_row;
    for (int64_t i = 0; i < t.pixels; ++i, x += t.x_step, dy += t.dy_step) {
      f32v d[kFilters];
#pragma GCC unroll 8
      for (int f = 0; f < kFilters; ++f) d[f] = broadcast(dy[f]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const f32v a = kPartial && v == kLast ? load_partial(x + v * kLanes, lanes) : load(x + v * kLanes);
#pragma GCC unroll 8
        for (int f = 0; f < kFilters; ++f) sum[f][v] = fma(a, d[f], sum[f][v]);
      }
    }
  }
  float* to = t.dw + sc * t.dw_pitch;
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    float sums[kFilters][kLanes];
#pragma GCC unroll 8
    for (int f = 0; f < kFilters; ++f) store(sums[f], sum[f][v]);
    const int count = kPartial && v == kLast ? lanes : kLanes;
    for (int i = 0; i < count; ++i, to += t.dw_pitch)
      for (int f = 0; f < kFilters; ++f) to[f] += sums[f][i];
  }
}

template <int kFilters, int kVectors>
inline void thin_wgrad_tile_of(int64_t entries, const WgradBlock& t, int64_t sc) noexcept {
  if constexpr (kVectors > 1) {
    if (entries <= (kVectors - 1) * kLanes) return thin_wgrad_tile_of<kFilters, kVectors - 1>(entries, t, sc);
  }
  const int lanes = int(entries - (kVectors - 1) * kLanes);
  if (lanes == kLanes)
    thin_wgrad_tile<kFilters, kVectors, false>(t, sc, lanes);
  else
    thin_wgrad_tile<kFilters, kVectors, true>(t, sc, lanes);
}

// Entries [sc_begin, sc_end) of a filter row, all of its `filters` <= kThinChannels.
template <int kFilters = kThinChannels>
inline void thin_wgrad_entries(const WgradBlock& t, int64_t sc_begin, int64_t sc_end, int64_t filters) noexcept {
  if constexpr (kFilters > 1) {
    if (filters < kFilters) return thin_wgrad_entries<kFilters - 1>(t, sc_begin, sc_end, filters);
  }
  constexpr int kVectors = thin_wgrad_vectors(kFilters);
  const int64_t vectors = (sc_end - sc_begin + kLanes - 1) / kLanes;
  int64_t tiles = (vectors + kVectors - 1) / kVectors;  // of nearly equal width, as in tile.h
  for (int64_t sc = sc_begin, rest = vectors; sc < sc_end; --tiles) {
    const int64_t width = (rest + tiles - 1) / tiles;
    const int64_t end = sc + width * kLanes < sc_end ? sc + width * kLanes : sc_end;
    thin_wgrad_tile_of<kFilters, kVectors>(end - sc, t, sc);
    rest -= width;
    sc = end;
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
