// The register tile of outputs with few channels, which would leave most lanes of tile.h's vectors idle. Built once per
// instruction set; included by fprop_simd.cpp, dgrad_simd.cpp and thin_wgrad_tile.h only.
//
// Here the lanes lie along the run: a sum is a vector for each pixel and channel, and at the end kLanes of them are added
// across their lanes at once. An output's terms meet in the same order wherever it stands in its tile.
#pragma once
#include "conv2d/tile.h"

namespace fastconv::FASTCONV_ISA {
namespace {

// At most so many channels: half of the lanes, or all but one of few, since partial vectors of 4 are slow.
constexpr int kThinChannels = kLanes > 4 ? kLanes / 2 : kLanes - 1;
// Sums in registers, beside the weights and one input: enough to hide the latency of an FMA.
constexpr int kThinSums = FASTCONV_TARGET == 3 || FASTCONV_TARGET == 1 ? 16 : FASTCONV_TARGET == 2 ? 12 : 8;

// Whether the thin tile takes fewer instructions an output than the tile: a product for each vector of its runs and some
// 5 for the sum across lanes, against a share of one for each input.
constexpr bool thin_pays(int64_t rows, int64_t run, int64_t channels) noexcept {
  const int64_t vectors = rows * ((run + kLanes - 1) / kLanes);
  return channels <= kThinChannels && channels * (vectors + 5) < rows * run;
}

// Lane i of the result is the sum over all lanes of v[i].
inline f32v add_across(f32v (&v)[kLanes]) noexcept {
#pragma GCC unroll 4
  for (int half = kLanes / 2; half > 0; half /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) v[i] = add(zip_low(v[i], v[i + half]), zip_high(v[i], v[i + half]));
  return v[0];
}

// Adds the products of up to kLanes inputs of each pixel's run with the weights of each channel.
template <int kPixels, int kChannels, bool kPartial>
inline void thin_step(const float* x, int64_t x_step, const float* w, int64_t w_pitch, int lanes,
                      f32v (&sum)[kPixels * kChannels]) noexcept {
  f32v weight[kChannels];
#pragma GCC unroll 8
  for (int c = 0; c < kChannels; ++c)
    weight[c] = kPartial ? load_partial(w + c * w_pitch, lanes) : load(w + c * w_pitch);
#pragma GCC unroll 16
  for (int j = 0; j < kPixels; ++j) {
    const f32v a = kPartial ? load_partial(x + j * x_step, lanes) : load(x + j * x_step);
#pragma GCC unroll 8
    for (int c = 0; c < kChannels; ++c) sum[j * kChannels + c] = fma(a, weight[c], sum[j * kChannels + c]);
  }
}

template <int kPixels, int kChannels>
inline void thin_tile(const TileRow& t, const float* x, float* y) noexcept {
  constexpr int kSums = kPixels * kChannels, kVectors = (kSums + kLanes - 1) / kLanes;
  f32v sum[kSums];
#pragma GCC unroll 8
  for (int c = 0; c < kChannels; ++c) {
    const f32v b = t.b ? load_partial(t.b + c, 1) : zero();
#pragma GCC unroll 16
    for (int j = 0; j < kPixels; ++j) sum[j * kChannels + c] = b;
  }
  const int64_t whole = t.run - t.run % kLanes;
  const float* w = t.w;
  for (int64_t row = 0; row < t.rows; ++row, x += t.x_row, w += t.run) {
    for (int64_t i = 0; i < whole; i += kLanes)
      thin_step<kPixels, kChannels, false>(x + i, t.x_step, w + i, t.w_pitch, kLanes, sum);
    if (whole < t.run)
      thin_step<kPixels, kChannels, true>(x + whole, t.x_step, w + whole, t.w_pitch, int(t.run - whole), sum);
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    constexpr int kRest = kSums - (kVectors - 1) * kLanes;
    const int first = v * kLanes, count = v < kVectors - 1 ? kLanes : kRest;
    f32v part[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) part[i] = i < count ? sum[first + i] : zero();
    const f32v out = add_across(part);
    if (t.y_step != kChannels) {
      float outputs[kLanes];
      store(outputs, out);
#pragma GCC unroll 16
      for (int i = 0; i < count; ++i) y[(first + i) / kChannels * t.y_step + (first + i) % kChannels] = outputs[i];
    } else if (count == kLanes) {
      store(y + first, out);
    } else {
      store_partial(y + first, out, count);
    }
  }
}

// The tile with `pixels` <= kPixels pixels, found by counting down.
template <int kPixels, int kChannels>
inline void thin_tile_of(int64_t pixels, const TileRow& t, const float* x, float* y) noexcept {
  if constexpr (kPixels == 1) {
    thin_tile<1, kChannels>(t, x, y);
  } else {
    if (pixels == kPixels)
      thin_tile<kPixels, kChannels>(t, x, y);
    else
      thin_tile_of<kPixels - 1, kChannels>(pixels, t, x, y);
  }
}

template <int kChannels>
inline void thin_pixels(const TileRow& t, int64_t pixels, int64_t channels) noexcept {
  if constexpr (kChannels > 1) {
    if (channels < kChannels) return thin_pixels<kChannels - 1>(t, pixels, channels);
  }
  constexpr int kPixels = kThinSums / kChannels;
  int64_t tiles = (pixels + kPixels - 1) / kPixels;  // of nearly equal width, as in tile.h
  for (int64_t done = 0; done < pixels; --tiles) {
    const int64_t width = (pixels - done + tiles - 1) / tiles;
    thin_tile_of<kPixels, kChannels>(width, t, t.x + done * t.x_step, t.y + done * t.y_step);
    done += width;
  }
}

// `pixels` outputs of one row, all of their `channels` <= kThinChannels. The weights are those of one channel after
// another: t.w_pitch floats from channel to channel, each `rows` runs of `run`.
inline void thin_row(const TileRow& t, int64_t pixels, int64_t channels) noexcept {
  thin_pixels<kThinChannels>(t, pixels, channels);
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
