// Host side of wgrad: the cut of the images into parts, or of the weights where there are few images.
#include <cstring>

#include "conv2d/blocks.h"

namespace fastconv {

// A part costs three passes over the weights (zeros, its sums, their reduction), some 24 cycles a vector of them from
// the level-2 cache, against one multiplication a pixel at two a cycle: with 256 pixels a part that is a tenth. (conv4
// of cnn at batch 32, 64 pixels an image: 16 parts 320 GFLOP/s, 8 parts 400; 2 cores of EPYC Zen 5, 2026-11-23.) Weights
// that fill that cache alone come from a slower one.
int64_t wgrad_parts(const Conv2DGeometry& g) {
  constexpr int64_t kMost = 16, kCacheFloats = 64 * 1024;
  const int64_t least = g.r * g.s * g.c * g.k > kCacheFloats ? 1024 : 256;
  return std::clamp<int64_t>(g.n * g.p * g.q / least, 1, std::min(g.n, kMost));
}

int64_t wgrad_part_floats(const Conv2DGeometry& g) { return whole_lines(g.r * g.s * g.c * g.k + g.k); }

void wgrad_reduce(const Conv2DGeometry& g, int64_t parts, const float* partials, float* dw, float* db) {
  constexpr int64_t kChunk = 1024;
  const int64_t weights = g.r * g.s * g.c * g.k, pitch = wgrad_part_floats(g);
  const auto reduce = [&](float* to, const float* from, int64_t count) {
    std::memcpy(to, from, sizeof(float) * count);
    for (int64_t part = 1; part < parts; ++part)
      for (int64_t i = 0; i < count; ++i) to[i] += from[part * pitch + i];
  };
  parallel_for(ceil_div(weights, kChunk), num_threads(), [&](int64_t item, int) {
    const int64_t begin = item * kChunk;
    reduce(dw + begin, partials + begin, std::min(kChunk, weights - begin));
  });
  if (db) reduce(db, partials + weights, g.k);
}

namespace {

int64_t fixed_floats(const Conv2DGeometry& g) { return wgrad_parts(g) > 1 ? wgrad_parts(g) * wgrad_part_floats(g) : 0; }

}  // namespace

size_t conv2d_wgrad_workspace_bytes(const Conv2DGeometry& g, bool norm, int threads) {
  const int64_t slot = slot_floats(conv2d_x_layout(g, norm), g.p, g.stride_h, g.r);
  return sizeof(float) * (fixed_floats(g) + threads * slot);
}

void conv2d_wgrad(const Conv2DGeometry& g, const Conv2DInput& x, const float* dy, float* dw, float* db,
                  float* workspace, size_t workspace_bytes) {
  const RowLayout layout = conv2d_x_layout(g, x.norm);
  const int64_t slot = slot_floats(layout, g.p, g.stride_h, g.r),
                max_rows = rows_per_block(layout, g.p, g.stride_h, g.r);
  const int64_t fixed = fixed_floats(g), parts = wgrad_parts(g), run = g.s * g.c, weights = g.r * run * g.k;
  const int threads = usable_threads(workspace_bytes, fixed, slot, "conv2d_wgrad");
  float* slots = workspace + fixed;
  const auto kernel = FASTCONV_PICK(conv2d_wgrad_rows);
  const auto add_images = [&](int64_t begin, int64_t end, float* to_w, float* to_b, int64_t sc_begin, int64_t sc_end,
                              int thread) {
    for (int64_t r = 0; r < g.r; ++r)
      std::memset(to_w + (r * run + sc_begin) * g.k, 0, sizeof(float) * (sc_end - sc_begin) * g.k);
    if (to_b) std::memset(to_b, 0, sizeof(float) * g.k);
    for (int64_t image = begin; image < end; ++image) {
      for (int64_t row = 0; row < g.p; row += max_rows) {
        const int64_t row_end = std::min(row + max_rows, g.p);
        const int64_t top = row * g.stride_h - g.pad_top, bottom = (row_end - 1) * g.stride_h - g.pad_top + g.r;
        kernel(g, x_rows(layout, x.data + image * g.h * g.w * g.c, x.norm, top, bottom, slots + thread * slot),
               {dy + image * g.p * g.q * g.k, 0, g.q * g.k}, to_w, to_b, row, row_end, sc_begin, sc_end);
      }
    }
  };
  if (parts == 1) {  // dense, or few and small images: the weights are cut instead
    // Every cut reads all of x and dy; dense layers read x where it lies and may have many.
    constexpr int64_t kMostCuts = 16;
    const int64_t chunk = layout.copied ? ceil_div(ceil_div(run, kMostCuts), kPixelChunk) * kPixelChunk : kPixelChunk;
    parallel_for(ceil_div(run, chunk), threads, [&](int64_t item, int thread) {
      const int64_t begin = item * chunk, end = std::min(begin + chunk, run);
      add_images(0, g.n, dw, item == 0 ? db : nullptr, begin, end, thread);
    });
    return;
  }
  parallel_for(parts, threads, [&](int64_t part, int thread) {
    float* partial = workspace + part * wgrad_part_floats(g);
    add_images(g.n * part / parts, g.n * (part + 1) / parts, partial, db ? partial + weights : nullptr, 0, run, thread);
  });
  wgrad_reduce(g, parts, workspace, dw, db);
}

}  // namespace fastconv
