// Host side of conv2d: checks, the cut into blocks and parts, workspace, choice of the instruction set.
#include "conv2d/conv2d.h"

#include <algorithm>
#include <limits>

#include "common/errors.h"
#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr int64_t kScratchFloats =
    64 * 1024;                          // padded rows of one block: 256 KiB, a quarter to half of a level-2 cache
constexpr int64_t kChannelChunk = 32;   // a multiple of every instruction set's sweep
constexpr int64_t kPixelChunk = 48;     // a multiple of every instruction set's tile
constexpr int64_t kItemsPerThread = 4;  // enough for an even finish when threads differ in speed
constexpr int64_t kMaxParts = 16;       // of wgrad: partial sums cost memory traffic, too few cost cores

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t whole_lines(int64_t floats) { return ceil_div(floats, 16) * 16; }  // cache lines, so that slots share none

int64_t product(std::initializer_list<int64_t> factors, const char* what) {
  int64_t total = 1;
  for (int64_t f : factors)
    if (__builtin_mul_overflow(total, f, &total) || total > std::numeric_limits<int64_t>::max() / 16)
      fail("conv2d", std::string("a size of ") + what + " that fits in memory", "an overflow of 64 bits");
  return total;
}

// The padded rows that blocks of a pass copy: `rows` outputs of a block need (rows - 1) * row_stride + extra_rows rows
// of `pitch` floats; pitch is 0 where no column is padded and the kernel reads the tensor itself.
struct Scratch {
  int64_t pitch, row_stride, extra_rows;

  int64_t floats(int64_t rows) const { return whole_lines(pitch * ((rows - 1) * row_stride + extra_rows)); }
  int64_t max_rows(int64_t output_rows) const {
    if (!pitch) return output_rows;
    const int64_t rows = (kScratchFloats / pitch - extra_rows) / row_stride + 1;
    return std::clamp<int64_t>(rows, 1, output_rows);
  }
};

Scratch x_scratch(const Conv2DGeometry& g) {
  const int64_t columns = (g.q - 1) * g.stride_w + g.s;
  const bool padded = g.pad_left > 0 || columns > g.w;
  return {padded ? columns * g.c : 0, g.stride_h, g.r};
}

Scratch dy_scratch(const Conv2DGeometry& g) {
  const int64_t first = g.pad_left / g.stride_w - (g.s - 1) / g.stride_w;
  const int64_t last = (g.w - 1 + g.pad_left) / g.stride_w;
  const bool padded = first < 0 || last >= g.q;
  return {padded ? (last + 1 - first) * g.k : 0, 1, (g.r - 1) / g.stride_h + 2};
}

// Threads that a workspace has room for, after `fixed` floats; slot floats each.
int usable_threads(size_t workspace_bytes, int64_t fixed, int64_t slot, const char* where) {
  if (!slot && !fixed) return std::numeric_limits<int>::max();
  const int64_t floats = int64_t(workspace_bytes / sizeof(float)) - fixed;
  const int64_t slots = slot ? floats / slot : std::numeric_limits<int>::max();
  if (floats < 0 || slots < 1)
    fail(where, std::to_string((fixed + slot) * sizeof(float)) + " bytes of workspace",
         std::to_string(workspace_bytes));
  return int(std::min<int64_t>(slots, std::numeric_limits<int>::max()));
}

// Calls block(block, scratch) for blocks that cover n images of rows x pixels x channels outputs.
template <typename Kernel>
void for_each_block(int64_t n, int64_t rows, int64_t pixels, int64_t channels, bool cut_pixels, const Scratch& scratch,
                    float* slots, int max_threads, Kernel&& kernel) {
  const int64_t wanted = kItemsPerThread * std::min(num_threads(), max_threads);
  const int64_t slot = scratch.pitch ? scratch.floats(scratch.max_rows(rows)) : 0;
  const int64_t band = std::clamp<int64_t>(rows * n / wanted, 1, scratch.max_rows(rows));
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
    kernel(block, slot ? slots + thread * slot : nullptr);
  });
}

bool pointwise(const Conv2DGeometry& g) { return g.r == 1 && g.s == 1 && g.stride_h == 1 && g.stride_w == 1; }

int64_t wgrad_parts(const Conv2DGeometry& g) { return std::min(g.n, kMaxParts); }
int64_t wgrad_part_floats(const Conv2DGeometry& g) { return whole_lines(g.r * g.s * g.c * g.k + g.k); }
int64_t wgrad_fixed_floats(const Conv2DGeometry& g) {
  return wgrad_parts(g) > 1 ? wgrad_parts(g) * wgrad_part_floats(g) : 0;
}
int64_t wgrad_slot_floats(const Conv2DGeometry& g) {
  const Scratch scratch = x_scratch(g);
  return scratch.pitch ? scratch.floats(conv2d_wgrad_rows_per_block(g)) : 0;
}

}  // namespace

void conv2d_check(const Conv2DGeometry& g) {
  require(g.n > 0, "conv2d", "n > 0", g.n);
  require(g.h > 0, "conv2d", "h > 0", g.h);
  require(g.w > 0, "conv2d", "w > 0", g.w);
  require(g.c > 0, "conv2d", "c > 0", g.c);
  require(g.k > 0, "conv2d", "k > 0", g.k);
  require(g.r > 0, "conv2d", "r > 0", g.r);
  require(g.s > 0, "conv2d", "s > 0", g.s);
  require(g.p > 0, "conv2d", "p > 0", g.p);
  require(g.q > 0, "conv2d", "q > 0", g.q);
  require(g.stride_h > 0, "conv2d", "stride_h > 0", g.stride_h);
  require(g.stride_w > 0, "conv2d", "stride_w > 0", g.stride_w);
  require(g.pad_top >= 0 && g.pad_top < g.r, "conv2d", "0 <= pad_top < r", g.pad_top);
  require(g.pad_left >= 0 && g.pad_left < g.s, "conv2d", "0 <= pad_left < s", g.pad_left);
  product({g.n, g.h, g.w, g.c}, "x");
  product({g.n, g.p, g.q, g.k}, "y");
  product({g.r, g.s, g.c, g.k}, "w");
  product({g.q + g.s, g.stride_w, g.c}, "a padded row");
  product({g.p + g.r, g.stride_h}, "the padded rows");
}

size_t conv2d_fprop_workspace_bytes(const Conv2DGeometry& g, int threads) {
  const Scratch scratch = x_scratch(g);
  return scratch.pitch ? sizeof(float) * threads * scratch.floats(scratch.max_rows(g.p)) : 0;
}

void conv2d_fprop(const Conv2DGeometry& g, const float* x, const float* w, const float* b, float* y, float* workspace,
                  size_t workspace_bytes) {
  const Scratch scratch = x_scratch(g);
  const int64_t slot = scratch.pitch ? scratch.floats(scratch.max_rows(g.p)) : 0;
  const int threads = usable_threads(workspace_bytes, 0, slot, "conv2d_fprop");
  const auto kernel = FASTCONV_PICK(conv2d_fprop_block);
  for_each_block(g.n, g.p, g.q, g.k, pointwise(g), scratch, workspace, threads,
                 [&](const Conv2DBlock& block, float* rows) { kernel(g, x, w, b, y, rows, block); });
}

size_t conv2d_dgrad_workspace_bytes(const Conv2DGeometry& g, int threads) {
  const Scratch scratch = dy_scratch(g);
  const int64_t slot = scratch.pitch ? scratch.floats(scratch.max_rows(g.h)) : 0;
  return sizeof(float) * (whole_lines(g.r * g.s * g.c * g.k) + threads * slot);
}

void conv2d_dgrad(const Conv2DGeometry& g, const float* dy, const float* w, float* dx, float* workspace,
                  size_t workspace_bytes) {
  const Scratch scratch = dy_scratch(g);
  const int64_t packed = whole_lines(g.r * g.s * g.c * g.k);
  const int64_t slot = scratch.pitch ? scratch.floats(scratch.max_rows(g.h)) : 0;
  const int threads = usable_threads(workspace_bytes, packed, slot, "conv2d_dgrad");

  constexpr int64_t kPackChannels = 256;
  const int64_t chunks = ceil_div(g.c, kPackChannels);
  const auto pack = FASTCONV_PICK(conv2d_dgrad_pack);
  parallel_for(g.r * g.s * chunks, num_threads(), [&](int64_t item, int) {
    const int64_t c = item % chunks * kPackChannels;
    pack(g, w, workspace, item / chunks / g.s, item / chunks % g.s, c, std::min(c + kPackChannels, g.c));
  });
  const auto kernel = FASTCONV_PICK(conv2d_dgrad_block);
  for_each_block(g.n, g.h, g.w, g.c, pointwise(g), scratch, workspace + packed, threads,
                 [&](const Conv2DBlock& block, float* rows) { kernel(g, dy, workspace, dx, rows, block); });
}

size_t conv2d_wgrad_workspace_bytes(const Conv2DGeometry& g, int threads) {
  return sizeof(float) * (wgrad_fixed_floats(g) + threads * wgrad_slot_floats(g));
}

void conv2d_wgrad(const Conv2DGeometry& g, const float* x, const float* dy, float* dw, float* db, float* workspace,
                  size_t workspace_bytes) {
  const int64_t slot = wgrad_slot_floats(g), fixed = wgrad_fixed_floats(g), parts = wgrad_parts(g);
  const int threads = usable_threads(workspace_bytes, fixed, slot, "conv2d_wgrad");
  const auto kernel = FASTCONV_PICK(conv2d_wgrad_range);
  const int64_t run = g.s * g.c, count = g.r * run * g.k;
  float* slots = workspace + fixed;
  if (parts == 1) {  // one image, or dense: the weights are cut instead of the images
    parallel_for(ceil_div(run, kPixelChunk), threads, [&](int64_t item, int thread) {
      kernel(g, x, dy, dw, item == 0 ? db : nullptr, slot ? slots + thread * slot : nullptr, 0, 1, item * kPixelChunk,
             std::min((item + 1) * kPixelChunk, run));
    });
    return;
  }
  const int64_t part_floats = wgrad_part_floats(g);
  parallel_for(parts, threads, [&](int64_t part, int thread) {
    float* partial = workspace + part * part_floats;
    kernel(g, x, dy, partial, partial + count, slot ? slots + thread * slot : nullptr, g.n * part / parts,
           g.n * (part + 1) / parts, 0, run);
  });
  constexpr int64_t kChunk = 4096;
  parallel_for(ceil_div(part_floats, kChunk), num_threads(), [&](int64_t item, int) {
    for (int64_t i = item * kChunk; i < std::min((item + 1) * kChunk, part_floats); ++i) {
      float sum = workspace[i];
      for (int64_t part = 1; part < parts; ++part) sum += workspace[part * part_floats + i];
      if (i < count)
        dw[i] = sum;
      else if (db && i < count + g.k)
        db[i - count] = sum;
    }
  });
}

}  // namespace fastconv
