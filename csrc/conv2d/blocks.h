// How the three passes cut their work and their workspace. Host side only.
#pragma once
#include <algorithm>
#include <limits>
#include <string>

#include "common/errors.h"
#include "common/parallel.h"
#include "conv2d/rows.h"

namespace fastconv {

constexpr int64_t kScratchFloats =
    64 * 1024;                          // copied rows of one block: 256 KiB, a quarter to half of a level-2 cache
constexpr int64_t kChannelChunk = 32;   // a multiple of every instruction set's sweep
constexpr int64_t kPixelChunk = 48;     // a multiple of every instruction set's tile
constexpr int64_t kItemsPerThread = 4;  // enough for an even finish when threads differ in speed

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

// A convolution that reads single pixels is one row of pixels to cut, whatever the image.
inline bool pointwise(const Conv2DGeometry& g) { return g.r == 1 && g.s == 1 && g.stride_h == 1 && g.stride_w == 1; }

// Calls kernel(block, thread) for blocks that cover n images of rows x pixels x channels outputs, at most max_rows high.
template <typename Kernel>
void for_each_block(int64_t n, int64_t rows, int64_t pixels, int64_t channels, bool cut_pixels, int64_t max_rows,
                    int max_threads, Kernel&& kernel) {
  const int64_t wanted = kItemsPerThread * std::min(num_threads(), max_threads);
  const int64_t band = std::clamp<int64_t>(rows * n / wanted, 1, max_rows);
  const int64_t bands = ceil_div(rows, band);
  const int64_t pixel_chunk = cut_pixels ? kPixelChunk : pixels;
  const int64_t pixel_chunks = ceil_div(pixels, pixel_chunk);
  const int64_t channel_chunk = n * bands * pixel_chunks < wanted ? kChannelChunk : channels;
  const int64_t channel_chunks = ceil_div(channels, channel_chunk);
  parallel_for(n * bands * pixel_chunks * channel_chunks, max_threads, [&](int64_t item, int thread) {
    Conv2DBlock block;
    block.pixel_begin = item % pixel_chunks * pixel_chunk;
    block.pixel_end = std::min(block.pixel_begin + pixel_chunk, pixels);
    item /= pixel_chunks;
    block.channel_begin = item % channel_chunks * channel_chunk;
    block.channel_end = std::min(block.channel_begin + channel_chunk, channels);
    item /= channel_chunks;
    block.row_begin = item % bands * band;
    block.row_end = std::min(block.row_begin + band, rows);
    block.image = item / bands;
    kernel(block, thread);
  });
}

// ---- the parts of wgrad: consecutive images whose gradient is summed by one thread ----
int64_t wgrad_parts(const Conv2DGeometry& g);
int64_t wgrad_part_floats(const Conv2DGeometry& g);

// dw and db from `parts` partial sums, added in order. db may be null.
void wgrad_reduce(const Conv2DGeometry& g, int64_t parts, const float* partials, float* dw, float* db);

// dgrad's weights, packed by all threads.
int64_t packed_floats(const Conv2DGeometry& g);
void dgrad_pack(const Conv2DGeometry& g, const float* w, float* packed_w);

}  // namespace fastconv
