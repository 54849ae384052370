// dw and db of conv for a range of rows of one image. Built once per instruction set.
//
// With filter columns and channels as one run sc (see tile.h), dw[r][sc][k] = sum over pixels of x[pixel run + sc] *
// dy[pixel][k]: a tile of sc entries times vectors of k stays in registers over all pixels of a block of rows and is
// then added to dw once.
#include "conv2d/conv2d.h"
#include "conv2d/thin_wgrad_tile.h"
#include "conv2d/wgrad_tile.h"

namespace fastconv::FASTCONV_ISA {
namespace {

// db += the sum of `pixels` rows of dy: four sums side by side, since one would wait for itself at every pixel.
inline void add_columns(const float* dy, int64_t pixels, int64_t k_count, float* db) noexcept {
  for (int64_t k = 0; k < k_count; k += kLanes) {
    const int lanes = k_count - k < kLanes ? int(k_count - k) : kLanes;
    f32v sum[4] = {load_partial(db + k, lanes), zero(), zero(), zero()};
    int64_t i = 0;
    for (; i + 4 <= pixels; i += 4)
      for (int j = 0; j < 4; ++j) sum[j] = add(sum[j], load_partial(dy + (i + j) * k_count + k, lanes));
    for (; i < pixels; ++i) sum[0] = add(sum[0], load_partial(dy + i * k_count + k, lanes));
    store_partial(db + k, add(add(sum[0], sum[1]), add(sum[2], sum[3])), lanes);
  }
}

// Copies `channels` of the rows' pixels side by side.
inline void pack_panel(const float* dy, int64_t dy_row, int64_t rows, int64_t pixels, int64_t step, int64_t channels,
                       float* panel) noexcept {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < pixels; ++i, panel += channels)
      for (int64_t c = 0; c < channels; c += kLanes) {
        const int lanes = channels - c < kLanes ? int(channels - c) : kLanes;
        store_partial(panel + c, load_partial(dy + row * dy_row + i * step + c, lanes), lanes);
      }
}

// Entries [sc_begin, sc_end) of a filter row and a sweep of its filters.
inline void wgrad_sweep(const WgradBlock& t, int64_t sc_begin, int64_t sc_end, int64_t channels) noexcept {
  if (channels == 2 * kLanes)
    wgrad_entries<2, false>(t, sc_begin, sc_end, kLanes);
  else if (channels > kLanes)
    wgrad_entries<2, true>(t, sc_begin, sc_end, int(channels - kLanes));
  else if (channels == kLanes)
    wgrad_entries<1, false>(t, sc_begin, sc_end, kLanes);
  else
    wgrad_entries<1, true>(t, sc_begin, sc_end, int(channels));
}

}  // namespace

void conv2d_wgrad_bias(const Conv2DGeometry& g, const Conv2DRows& dy, float* db, int64_t row_begin,
                       int64_t row_end) noexcept {
  for (int64_t p = row_begin; p < row_end; ++p) add_columns(dy.at + (p - dy.first) * dy.pitch, g.q, g.k, db);
}

void conv2d_wgrad_rows(const Conv2DGeometry& g, const Conv2DRows& x, const Conv2DRows& dy, float* dw, float* db,
                       int64_t row_begin, int64_t row_end, int64_t sc_begin, int64_t sc_end) noexcept {
  // A sweep over so many pixels touches two cache lines of x and two of dy for each: 32 KiB, and the sums of a tile go
  // to memory once in 1500 cycles. With many filters the lines of dy fall on few sets of the cache and are copied side
  // by side first (512 channels, 16 x 16: 170 -> 230 GFLOP/s; EPYC Zen 5, 2026-11-23). Few filters take longer sweeps: their
  // sums go to memory one by one.
  constexpr int64_t kPixels = 128, kThinPixels = 1024, kDirectChannels = 256;
  alignas(64) float panel[kPixels * kChannelsPerSweep];
  const bool thin = thin_wgrad_pays(g.s * g.c, g.k);
  const int64_t pixels_per_sweep = thin ? kThinPixels : kPixels;
  const int64_t rows_per_sweep = g.q < pixels_per_sweep ? pixels_per_sweep / g.q : 1;
  WgradBlock t;
  t.x_row = g.stride_h * x.pitch;
  t.x_step = g.stride_w * g.c;
  t.pixels = g.q;
  t.dw_pitch = g.k;
  for (int64_t p0 = row_begin; p0 < row_end; p0 += rows_per_sweep) {
    const int64_t p_end = p0 + rows_per_sweep < row_end ? p0 + rows_per_sweep : row_end;
    for (int64_t k = 0; k < g.k; k += kChannelsPerSweep) {
      const int64_t channels = g.k - k < kChannelsPerSweep ? g.k - k : kChannelsPerSweep;
      const bool packs = g.k > kDirectChannels && g.q <= kPixels;
      if (packs) pack_panel(dy.at + (p0 - dy.first) * dy.pitch + k, dy.pitch, p_end - p0, g.q, g.k, channels, panel);
      for (int64_t r = 0; r < g.r; ++r) {
        // the output rows whose input row p * stride_h + r - pad_top lies inside the image
        int64_t begin = p0, end = p_end;
        while (begin < end && begin * g.stride_h + r < g.pad_top) ++begin;
        while (begin < end && (end - 1) * g.stride_h + r - g.pad_top >= g.h) --end;
        if (begin == end) continue;
        t.x = x.at + (begin * g.stride_h + r - g.pad_top - x.first) * x.pitch;
        t.dy = packs ? panel + (begin - p0) * g.q * channels : dy.at + (begin - dy.first) * dy.pitch + k;
        t.dy_step = packs ? channels : g.k;
        t.dy_row = packs ? g.q * channels : dy.pitch;
        t.rows = end - begin;
        t.dw = dw + r * g.s * g.c * g.k + k;
        if (thin)
          thin_wgrad_entries(t, sc_begin, sc_end, channels);
        else
          wgrad_sweep(t, sc_begin, sc_end, channels);
      }
    }
    if (db) conv2d_wgrad_bias(g, dy, db, p0, p_end);
  }
}

void conv2d_wgrad_squares(const Conv2DGeometry& g, const float* x, const float* next, int64_t pitch, int64_t rows,
                          float* sums) noexcept {
  constexpr int64_t kPixels = 128;
  // Longer sums in one float would show where the sums of all pixels cancel (images of 0 to 255: 8 times the error).
  const int64_t run = g.s * g.c, row = g.stride_h * pitch, step = g.stride_w * g.c;
  const int64_t sweep = g.q < kPixels ? kPixels / g.q : 1;
  for (int64_t first = 0; first < rows; first += sweep, x += sweep * row, next += sweep * row) {
    const int64_t count = rows - first < sweep ? rows - first : sweep;
    for (int64_t k = 0; k < run; k += kChannelsPerSweep)
      wgrad_sweep({x, row, step, next + k, row, step, count, g.q, sums + k, run}, 0, run,
                  run - k < kChannelsPerSweep ? run - k : kChannelsPerSweep);
  }
}

}  // namespace fastconv::FASTCONV_ISA
