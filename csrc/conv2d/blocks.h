// How the three passes cut their work and their workspace. Host side only.
#pragma once
#include <algorithm>
#include <limits>
#include <string>

#include "common/errors.h"
#include "common/parallel.h"
#include "conv2d/rows.h"
#include "conv2d/winograd_pass.h"

namespace fastconv {

constexpr int64_t kScratchFloats =
    64 * 1024;                               // copied rows of one block: 256 KiB, a quarter to half of a level-2 cache
constexpr int64_t kChannelChunk = 32;        // a multiple of every instruction set's sweep
constexpr int64_t kPixelChunk = 48;          // a multiple of every instruction set's tile
constexpr int64_t kItemsPerThread = 4;       // enough for an even finish when threads differ in speed
constexpr int64_t kMostItemsPerThread = 32;  // more only make threads meet more often

// Output rows of a block whose copied input rows fit kScratchFloats: `rows` need (rows - 1) * stride + extra of them.
inline int64_t rows_per_block(const RowLayout& layout, int64_t rows, int64_t stride, int64_t extra) {
  if (!layout.copied) return rows;
  return std::clamp<int64_t>((kScratchFloats / layout.pitch() - extra) / stride + 1, 1, rows);
}

// Floats of each thread's copied rows.
inline int64_t slot_floats(const RowLayout& layout, int64_t rows, int64_t stride, int64_t extra) {
  return layout.floats((rows_per_block(layout, rows, stride, extra) - 1) * stride + extra);
}

// Threads that a workspace has room for, after `fixed` floats; slot floats each.
inline int usable_threads(size_t workspace_bytes, int64_t fixed, int64_t slot, const char* where) {
  if (!slot && !fixed) return std::numeric_limits<int>::max();
  const int64_t floats = int64_t(workspace_bytes / sizeof(float)) - fixed;
  const int64_t slots = slot ? floats / slot : std::numeric_limits<int>::max();
  if (floats < 0 || slots < 1)
    fail(where, std::to_string((fixed + slot) * sizeof(float)) + " bytes of workspace",
         std::to_string(workspace_bytes));
  return int(std::min<int64_t>(slots, std::numeric_limits<int>::max()));
}

// A convolution that reads single pixels: its images are one long row of pixels, which may be cut anywhere.
inline bool pointwise(const Conv2DGeometry& g) {
  return g.r == 1 && g.s == 1 && g.stride_h == 1 && g.stride_w == 1 && g.p == g.h && g.q == g.w;
}
inline Conv2DGeometry as_one_row(Conv2DGeometry g) {
  g.w = g.q = g.n * g.h * g.w;
  g.n = g.h = g.p = 1;
  return g;
}

// How outputs may be cut into blocks.
struct Cut {
  int64_t max_pixels;  // of a block; 0: rows are not cut
  bool channels;       // whether a row's channels may be
  int64_t row_multiple, max_rows;
};

// Cut::max_pixels: with their inputs and outputs they fit a first-level cache. A block costs about as much as a tile of
// few channels does, so those take many: 8>8 on 4096 images of 8 x 8 went from 295 us in blocks of 48 pixels to 245 in
// 384 (2 cores of EPYC Zen 5, 2026-11-23).
inline int64_t pixels_per_block(const Conv2DGeometry& g) {
  constexpr int64_t kCacheFloats = 12 * 1024, kMost = 8 * kPixelChunk;
  if (!pointwise(g)) return 0;
  return std::clamp(kCacheFloats / (g.c + g.k) / kPixelChunk * kPixelChunk, kPixelChunk, kMost);
}

// Calls kernel(block, thread) for blocks that cover n images of rows x pixels x channels outputs.
template <typename Kernel>
void for_each_block(int64_t n, int64_t rows, int64_t pixels, int64_t channels, const Cut& cut, int max_threads,
                    Kernel&& kernel) {
  const int64_t wanted = kItemsPerThread * std::min(num_threads(), max_threads);
  const int64_t band = std::min(round_up(std::max<int64_t>(rows * n / wanted, 1), cut.row_multiple), cut.max_rows);
  const int64_t bands = ceil_div(rows, band);
  const int64_t fair = round_up(ceil_div(n * bands * pixels, kMostItemsPerThread * num_threads()), kPixelChunk);
  const int64_t pixel_chunk = cut.max_pixels ? std::min(fair, cut.max_pixels) : pixels;
  const int64_t pixel_chunks = ceil_div(pixels, pixel_chunk);
  const int64_t channel_chunk = cut.channels && n * bands * pixel_chunks < wanted ? kChannelChunk : channels;
  const int64_t channel_chunks = ceil_div(channels, channel_chunk);
  const int64_t blocks = n * bands * pixel_chunks * channel_chunks;
  const int64_t items = std::min(blocks, kMostItemsPerThread * num_threads());
  parallel_for(items, max_threads, [&](int64_t item, int thread) {
    for (int64_t i = blocks * item / items; i < blocks * (item + 1) / items; ++i) {
      const int64_t chunk = i / pixel_chunks, rows_of = chunk / channel_chunks;
      Conv2DBlock block;
      block.pixel_begin = i % pixel_chunks * pixel_chunk;
      block.pixel_end = std::min(block.pixel_begin + pixel_chunk, pixels);
      block.channel_begin = chunk % channel_chunks * channel_chunk;
      block.channel_end = std::min(block.channel_begin + channel_chunk, channels);
      block.row_begin = rows_of % bands * band;
      block.row_end = std::min(block.row_begin + band, rows);
      block.image = rows_of / bands;
      kernel(block, thread);
    }
  });
}

// wgrad of consecutive images, summed by one thread to a part: begin, add for each band of rows, end; then reduce.
// wgrad.cpp has it alone, backward.cpp beside dgrad.
struct Wgrad {
  const Conv2DGeometry& g;
  bool winograd;
  WinogradPass pass;  // used if winograd
  RowLayout layout;   // of x
  int64_t parts, part_floats;
  int64_t sums;  // floats of m, Winograd's sums of a part

  Wgrad(const Conv2DGeometry& g, bool norm);

  // Parts that `pieces` of the images are shared out to; `parts` of them if the pieces are whole images.
  int64_t part_count(int64_t pieces) const;
  int64_t first_image(int64_t part) const { return g.n * part / parts; }
  void begin(float* dw, float* db, float* m) const;
  // Rows [row, row_end) of `images` consecutive images (one if direct), of which x and dy are the first's.
  void add(const Conv2DRows& x, int64_t x_pitch, const Conv2DRows& dy, int64_t dy_pitch, int64_t images, int64_t row,
           int64_t row_end, float* dw, float* db, float* m, float* scratch) const;
  void end(float* dw, const float* m) const;

  // dw and db from the parts' sums, added in order. db may be null.
  void reduce(const float* partials, float* dw, float* db) const { reduce(partials, parts, dw, db); }
  void reduce(const float* partials, int64_t count, float* dw, float* db) const;
};

// dgrad of a block, after its weights were prepared once. dgrad.cpp has it alone, backward.cpp beside wgrad.
struct Dgrad {
  const Conv2DGeometry& g;
  bool winograd;
  WinogradPass pass;  // used if winograd
  RowLayout layout;   // of dy
  int64_t weights;    // floats

  Dgrad(const Conv2DGeometry& g, bool computed);

  void prepare(const float* w, float* to) const;
  // The block of `images` consecutive images (one if direct), of which dy is the first's.
  void convolve(const Conv2DBlock& block, const Conv2DRows& dy, int64_t dy_pitch, int64_t images, const float* w,
                float* dx, float* scratch) const;
};

// Rows without the zero columns before them.
inline Conv2DRows inside(const RowLayout& layout, const Conv2DRows& rows) {
  return {layout.copied ? rows.at + layout.left * layout.channels : rows.at, rows.first, rows.pitch};
}

}  // namespace fastconv
