// dw and db of conv for a range of images. Built once per instruction set.
//
// With filter columns and channels as one run sc (see tile.h), dw[r][sc][k] = sum over pixels of x[pixel run + sc] *
// dy[pixel][k]: a tile of sc entries times vectors of k stays in registers over all pixels of a block of rows and is
// then added to dw once.
#include "conv2d/conv2d.h"
#include "conv2d/tile.h"

namespace fastconv::FASTCONV_ISA {
namespace {

struct WgradBlock {
  const float* x;  // run of the first pixel of the first row
  int64_t x_row, x_step;
  const float* dy;  // first pixel of the first row
  int64_t dy_row, dy_step;
  int64_t rows, pixels;
  float* dw;  // weights of one filter row
  int64_t dw_pitch;
};

template <int kEntries, int kVectors, bool kPartial>
inline void wgrad_tile(const WgradBlock& t, int64_t sc, int64_t k, int lanes) noexcept {
  constexpr int kLast = kVectors - 1;
  f32v sum[kEntries][kVectors];
#pragma GCC unroll 16
  for (int j = 0; j < kEntries; ++j)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[j][v] = zero();
  for (int64_t row = 0; row < t.rows; ++row) {
    const float* x = t.x + row * t.x_row + sc;
    const float* dy = t.dy + row * t.dy_row + k;
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
    float* to = t.dw + (sc + j) * t.dw_pitch + k;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      if (kPartial && v == kLast)
        store_partial(to + v * kLanes, add(load_partial(to + v * kLanes, lanes), sum[j][v]), lanes);
      else
        store(to + v * kLanes, add(load(to + v * kLanes), sum[j][v]));
    }
  }
}

template <int kEntries, int kVectors, bool kPartial>
inline void wgrad_tile_of(int64_t entries, const WgradBlock& t, int64_t sc, int64_t k, int lanes) noexcept {
  if constexpr (kEntries == 1) {
    wgrad_tile<1, kVectors, kPartial>(t, sc, k, lanes);
  } else {
    if (entries == kEntries)
      wgrad_tile<kEntries, kVectors, kPartial>(t, sc, k, lanes);
    else
      wgrad_tile_of<kEntries - 1, kVectors, kPartial>(entries, t, sc, k, lanes);
  }
}

template <int kVectors, bool kPartial>
inline void wgrad_entries(const WgradBlock& t, int64_t sc_begin, int64_t sc_end, int64_t k, int lanes) noexcept {
  int64_t tiles = (sc_end - sc_begin + kTilePixels - 1) / kTilePixels;
  for (int64_t sc = sc_begin; sc < sc_end; --tiles) {
    const int64_t entries = (sc_end - sc + tiles - 1) / tiles;
    wgrad_tile_of<kTilePixels, kVectors, kPartial>(entries, t, sc, k, lanes);
    sc += entries;
  }
}

inline void add_columns(const float* dy, int64_t pixels, int64_t k_count, float* db) noexcept {
  for (int64_t k = 0; k < k_count; k += kLanes) {
    const int lanes = k_count - k < kLanes ? int(k_count - k) : kLanes;
    f32v sum = zero();
    for (int64_t i = 0; i < pixels; ++i) sum = add(sum, load_partial(dy + i * k_count + k, lanes));
    store_partial(db + k, add(load_partial(db + k, lanes), sum), lanes);
  }
}

}  // namespace

void conv2d_wgrad_range(const Conv2DGeometry& g, const float* x, const float* dy, float* dw, float* db, float* scratch,
                        int64_t image_begin, int64_t image_end, int64_t sc_begin, int64_t sc_end) noexcept {
  const int64_t run = g.s * g.c;
  for (int64_t r = 0; r < g.r; ++r)
    for (int64_t i = (r * run + sc_begin) * g.k; i < (r * run + sc_end) * g.k; ++i) dw[i] = 0.0f;
  if (db)
    for (int64_t k = 0; k < g.k; ++k) db[k] = 0.0f;

  const int64_t rows_per_block = conv2d_wgrad_rows_per_block(g);
  WgradBlock t;
  t.x_step = g.stride_w * g.c;
  t.dy_row = g.q * g.k;
  t.dy_step = g.k;
  t.pixels = g.q;
  t.dw_pitch = g.k;
  for (int64_t image = image_begin; image < image_end; ++image) {
    const float* x_image = x + image * g.h * g.w * g.c;
    const float* dy_image = dy + image * g.p * g.q * g.k;
    for (int64_t p0 = 0; p0 < g.p; p0 += rows_per_block) {
      const int64_t p_end = p0 + rows_per_block < g.p ? p0 + rows_per_block : g.p;
      const float* rows = x_image;
      int64_t first_row = 0, pitch = g.w * g.c;  // of the x rows that `rows` points to
      if (scratch) {
        pitch = ((g.q - 1) * g.stride_w + g.s) * g.c;
        first_row = p0 * g.stride_h - g.pad_top;
        if (first_row < 0) first_row = 0;
        int64_t last_row = (p_end - 1) * g.stride_h - g.pad_top + g.r;
        if (last_row > g.h) last_row = g.h;
        copy_padded_rows(x_image, g.w, g.c, first_row, last_row, g.pad_left, pitch, scratch);
        rows = scratch;
      }
      t.x_row = g.stride_h * pitch;
      for (int64_t r = 0; r < g.r; ++r) {
        // the output rows of this block whose input row p * stride_h + r - pad_top lies inside the image
        int64_t begin = p0, end = p_end;
        while (begin < end && begin * g.stride_h + r < g.pad_top) ++begin;
        while (begin < end && (end - 1) * g.stride_h + r - g.pad_top >= g.h) --end;
        if (begin == end) continue;
        t.x = rows + (begin * g.stride_h + r - g.pad_top - first_row) * pitch;
        t.dy = dy_image + begin * t.dy_row;
        t.rows = end - begin;
        t.dw = dw + r * run * g.k;
        for (int64_t k = 0; k < g.k; k += kChannelsPerSweep) {
          const int64_t rest = g.k - k;
          if (rest >= 2 * kLanes)
            wgrad_entries<2, false>(t, sc_begin, sc_end, k, kLanes);
          else if (rest > kLanes)
            wgrad_entries<2, true>(t, sc_begin, sc_end, k, int(rest - kLanes));
          else if (rest == kLanes)
            wgrad_entries<1, false>(t, sc_begin, sc_end, k, kLanes);
          else
            wgrad_entries<1, true>(t, sc_begin, sc_end, k, int(rest));
        }
      }
      if (db) add_columns(dy_image + p0 * t.dy_row, (p_end - p0) * g.q, g.k, db);
    }
  }
}

}  // namespace fastconv::FASTCONV_ISA
