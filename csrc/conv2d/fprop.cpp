// Host side of fprop: the cut into blocks, or into parts where the statistics of y are wanted.
#include "batchnorm/statistics.h"
#include "conv2d/blocks.h"

namespace fastconv {
namespace {

// Parts whose statistics are merged: images, several to a part where there are many, bands of one where there are few.
struct Parts {
  static constexpr int64_t kMost = 64, kFewImages = 16;
  int64_t images, band, bands, count;

  explicit Parts(const Conv2DGeometry& g)
      : images(ceil_div(g.n, kMost)),
        band(g.n < kFewImages ? ceil_div(g.p, std::min(g.p, ceil_div(kFewImages, g.n))) : g.p),
        bands(ceil_div(g.p, band)),
        count(ceil_div(g.n, images) * bands) {}
};

// Whether w is packed first. With 512 filters its rows, 2 KiB apart, meet few sets of the caches: 127 -> 250 GFLOP/s with
// 512 channels at 16 x 16 (one core of EPYC Zen 5, 2026-11-23); few pixels do not pay for the copy.
int64_t packed_floats_of(const Conv2DGeometry& g) {
  return g.k >= 512 && g.n * g.p * g.q >= 192 ? whole_lines(g.r * g.s * g.c * g.k) : 0;
}

const float* pack(const Conv2DGeometry& g, const float* w, float* packed_w) {
  constexpr int64_t kRows = 64;
  const int64_t rows = g.r * g.s * g.c;
  const auto kernel = FASTCONV_PICK(conv2d_fprop_pack);
  parallel_for(ceil_div(rows, kRows), num_threads(),
               [&](int64_t item, int) { kernel(g, w, packed_w, item * kRows, std::min((item + 1) * kRows, rows)); });
  return packed_w;
}

int64_t slot_of(const Conv2DGeometry& g, const RowLayout& layout) { return slot_floats(layout, g.p, g.stride_h, g.r); }

}  // namespace

size_t conv2d_fprop_workspace_bytes(const Conv2DGeometry& g, bool norm, bool statistics, int threads) {
  const size_t fixed = statistics ? BatchNormParts::floats(Parts(g).count, g.k) : 0;
  return sizeof(float) * (packed_floats_of(g) + fixed + threads * slot_of(g, conv2d_x_layout(g, norm)));
}

void conv2d_fprop(const Conv2DGeometry& g, const Conv2DInput& x, const float* w, const float* b, float* y,
                  const BatchNormStatistics* statistics, float* workspace, size_t workspace_bytes) {
  const RowLayout layout = conv2d_x_layout(g, x.norm);
  const int64_t slot = slot_of(g, layout), max_rows = rows_per_block(layout, g.p, g.stride_h, g.r);
  const Parts parts(g);
  const int64_t packed = packed_floats_of(g);
  const int64_t fixed = packed + (statistics ? BatchNormParts::floats(parts.count, g.k) : 0);
  const int threads = usable_threads(workspace_bytes, fixed, slot, "conv2d_fprop");
  float* slots = workspace + fixed;
  const float* weights = packed ? pack(g, w, workspace) : w;
  const auto kernel = FASTCONV_PICK(conv2d_fprop_block);
  const auto convolve = [&](const Conv2DBlock& block, int thread) {
    const float* image = x.data + block.image * g.h * g.w * g.c;
    const int64_t top = block.row_begin * g.stride_h - g.pad_top;
    const int64_t bottom = (block.row_end - 1) * g.stride_h - g.pad_top + g.r;
    kernel(g, x_rows(layout, image, x.norm, top, bottom, slots + thread * slot), weights, packed, b, y, block);
  };
  if (!statistics) {
    for_each_block(g.n, g.p, g.q, g.k, pointwise(g) && !layout.copied, max_rows, threads, convolve);
    return;
  }
  BatchNormParts sums(workspace + packed, parts.count, g.k);
  parallel_for(parts.count, threads, [&](int64_t part, int thread) {
    const int64_t first = part / parts.bands * parts.images, begin = part % parts.bands * parts.band;
    const int64_t end = std::min(begin + parts.band, g.p);
    for (int64_t image = first; image < std::min(first + parts.images, g.n); ++image) {
      for (int64_t row = begin; row < end; row += max_rows) {
        const Conv2DBlock block = {image, row, std::min(row + max_rows, end), 0, g.q, 0, g.k};
        convolve(block, thread);
        sums.add(part, y + (image * g.p + row) * g.q * g.k, (block.row_end - row) * g.q);
      }
    }
  });
  sums.finish(*statistics);
}

}  // namespace fastconv
