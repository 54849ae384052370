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

int64_t slot_of(const Conv2DGeometry& g, const RowLayout& layout) { return slot_floats(layout, g.p, g.stride_h, g.r); }

}  // namespace

size_t conv2d_fprop_workspace_bytes(const Conv2DGeometry& g, bool norm, bool statistics, int threads) {
  const size_t fixed = statistics ? BatchNormParts::floats(Parts(g).count, g.k) : 0;
  return sizeof(float) * (fixed + threads * slot_of(g, conv2d_x_layout(g, norm)));
}

void conv2d_fprop(const Conv2DGeometry& g, const Conv2DInput& x, const float* w, const float* b, float* y,
                  const BatchNormStatistics* statistics, float* workspace, size_t workspace_bytes) {
  const RowLayout layout = conv2d_x_layout(g, x.norm);
  const int64_t slot = slot_of(g, layout), max_rows = rows_per_block(layout, g.p, g.stride_h, g.r);
  const Parts parts(g);
  const int64_t fixed = statistics ? BatchNormParts::floats(parts.count, g.k) : 0;
  const int threads = usable_threads(workspace_bytes, fixed, slot, "conv2d_fprop");
  float* slots = workspace + fixed;
  const auto kernel = FASTCONV_PICK(conv2d_fprop_block);
  const auto convolve = [&](const Conv2DBlock& block, int thread) {
    const float* image = x.data + block.image * g.h * g.w * g.c;
    const int64_t top = block.row_begin * g.stride_h - g.pad_top;
    const int64_t bottom = (block.row_end - 1) * g.stride_h - g.pad_top + g.r;
    kernel(g, x_rows(layout, image, x.norm, top, bottom, slots + thread * slot), w, b, y, block);
  };
  if (!statistics) {
    for_each_block(g.n, g.p, g.q, g.k, pointwise(g) && !layout.copied, max_rows, threads, convolve);
    return;
  }
  BatchNormParts sums(workspace, parts.count, g.k);
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
