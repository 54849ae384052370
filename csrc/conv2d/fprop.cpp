// Host side of fprop: the cut into blocks, or into parts where the statistics of y are wanted, of a direct or a Winograd
// convolution.
#include "batchnorm/statistics.h"
#include "conv2d/blocks.h"
#include "conv2d/winograd_pass.h"

namespace fastconv {
namespace {

// Parts whose statistics are merged: images, several to a part where there are many, bands of one where there are few.
struct Parts {
  static constexpr int64_t kMost = 64, kFewImages = 16;
  int64_t images, band, bands, count;

  Parts(const Conv2DGeometry& g, int64_t row_multiple, int64_t images_at_once)
      : images(g.n < kFewImages ? 1 : std::max(ceil_div(g.n, kMost), images_at_once)),
        band(g.n < kFewImages ? round_up(ceil_div(g.p, ceil_div(kFewImages, g.n)), row_multiple) : g.p),
        bands(ceil_div(g.p, band)),
        count(ceil_div(g.n, images) * bands) {}
};

// With 512 filters the rows of w, 2 KiB apart, meet few sets of the caches: packed, 512 channels at 16 x 16 went from 127
// to 250 GFLOP/s (one core of EPYC Zen 5, 2026-11-23); few pixels do not pay for the copy. Few filters are read one after
// another, as a single one lies.
bool packs_weights(const Conv2DGeometry& g) {
  return (g.k >= 512 && g.n * g.p * g.q >= 192) || (g.k > 1 && FASTCONV_PICK(conv2d_fprop_is_thin)(g));
}

void pack(const Conv2DGeometry& g, const float* w, float* packed_w) {
  constexpr int64_t kRows = 64;
  const int64_t rows = g.r * g.s * g.c;
  const auto kernel = FASTCONV_PICK(conv2d_fprop_pack);
  parallel_for(ceil_div(rows, kRows), num_threads(),
               [&](int64_t item, int) { kernel(g, w, packed_w, item * kRows, std::min((item + 1) * kRows, rows)); });
}

// Rows of which the last pixel alone reads beyond the end are read where they lie: the tile ends its run there, the
// thin tile cannot. Copying them took a tenth of the time of conv2 of cnn (32>32, 3x3, stride 2; batch 32: 320 -> 285
// us, 2 cores of EPYC Zen 5, 2026-11-23). With many filters a copy serves many sweeps: 64>256 lost 5% without.
RowLayout direct_layout(const Conv2DGeometry& g, bool norm) {
  constexpr int64_t kMostFilters = 128;
  RowLayout layout = conv2d_x_layout(g, norm);
  const int64_t last = (g.q - 1) * g.stride_w;  // first column of the last pixel's run
  const bool one_beyond = g.pad_left == 0 && last < g.w && (g.q == 1 || last - g.stride_w + g.s <= g.w);
  if (one_beyond && !norm && g.k <= kMostFilters && !FASTCONV_PICK(conv2d_fprop_is_thin)(g)) layout.copied = false;
  return layout;
}

// What a block needs, for either algorithm, and the workspace: weights, the parts' statistics, then each thread's slot.
struct Fprop {
  const Conv2DGeometry& g;
  bool winograd, packed;
  WinogradPass pass;  // used if winograd
  RowLayout layout;
  int64_t row_multiple, max_rows, images;  // that a block may have
  Parts parts;
  int64_t weights, sums, rows, slot;

  Fprop(const Conv2DGeometry& geometry, bool norm, bool statistics)
      : g(geometry),
        winograd(conv2d_uses_winograd(g)),
        packed(!winograd && packs_weights(g)),
        pass(WinogradPass::fprop(g)),
        layout(winograd ? pass.in : direct_layout(g, norm)),
        row_multiple(winograd ? 4 : 1),
        max_rows(winograd ? pass.band_rows(kScratchFloats) : rows_per_block(layout, g.p, g.stride_h, g.r)),
        images(winograd ? pass.images_at_once(g.n, max_rows) : 1),
        parts(g, row_multiple, images),
        weights(winograd ? pass.weight_floats()
                : packed ? whole_lines(g.r * g.s * g.c * g.k)
                         : 0),
        sums(statistics ? whole_lines(BatchNormParts::floats(parts.count, g.k)) : 0),
        rows(winograd ? pass.rows_floats(max_rows) : slot_floats(layout, g.p, g.stride_h, g.r)),
        slot(images * rows + (winograd ? pass.scratch_floats(images, max_rows) : 0)) {}

  int64_t fixed() const { return weights + sums; }

  const float* prepare(const float* w, float* to) const {
    if (winograd)
      pass.weights(w, false, to);
    else if (packed)
      pack(g, w, to);
    return winograd || packed ? to : w;
  }

  // The block of `count` consecutive images; one if direct.
  void convolve(const Conv2DBlock& block, int64_t count, const Conv2DInput& x, const float* w, const float* b, float* y,
                float* scratch) const {
    const float* image = x.data + block.image * g.h * g.w * g.c;
    if (winograd) {
      const int64_t begin = block.row_begin, end = pass.end_row(begin, block.row_end - begin);
      Conv2DRows in;
      for (int64_t i = count; i-- > 0;)
        in = x_rows(layout, image + i * g.h * g.w * g.c, x.norm, pass.first_row(begin), end, scratch + i * rows);
      float* to = y + block.image * g.p * g.q * g.k;
      pass.convolve(in, rows, count, begin, block.row_end, w, b, to, scratch + images * rows);
      return;
    }
    const int64_t top = block.row_begin * g.stride_h - g.pad_top;
    const int64_t bottom = (block.row_end - 1) * g.stride_h - g.pad_top + g.r;
    const auto kernel = FASTCONV_PICK(conv2d_fprop_block);
    kernel(g, x_rows(layout, image, x.norm, top, bottom, scratch), w, packed, b, y, block);
  }
};

}  // namespace

size_t conv2d_fprop_workspace_bytes(const Conv2DGeometry& g, bool norm, bool statistics, int threads) {
  const Fprop fprop(g, norm, statistics);
  return sizeof(float) * (fprop.fixed() + threads * fprop.slot);
}

void conv2d_fprop(const Conv2DGeometry& g, const Conv2DInput& x, const float* w, const float* b, float* y,
                  const BatchNormStatistics* statistics, float* workspace, size_t workspace_bytes) {
  if (g.n * g.h > 1 && pointwise(g) && !x.norm && !statistics) {
    conv2d_fprop(as_one_row(g), x, w, b, y, nullptr, workspace, workspace_bytes);
    return;
  }
  const Fprop fprop(g, x.norm, statistics);
  const int threads = usable_threads(workspace_bytes, fprop.fixed(), fprop.slot, "conv2d_fprop");
  const float* weights = fprop.prepare(w, workspace);
  float* slots = workspace + fprop.fixed();
  const auto convolve = [&](const Conv2DBlock& block, int64_t images, int thread) {
    fprop.convolve(block, images, x, weights, b, y, slots + thread * fprop.slot);
  };
  const int64_t at_once = fprop.images;
  if (!statistics) {
    const int64_t max_pixels = fprop.layout.copied ? 0 : pixels_per_block(g);
    const Cut cut = {max_pixels, !fprop.winograd, fprop.row_multiple, fprop.max_rows};
    for_each_block(ceil_div(g.n, at_once), g.p, g.q, g.k, cut, threads, [&](Conv2DBlock block, int thread) {
      block.image *= at_once;
      convolve(block, std::min(at_once, g.n - block.image), thread);
    });
    return;
  }
  const Parts& parts = fprop.parts;
  BatchNormParts sums(workspace + fprop.weights, parts.count, g.k);
  parallel_for(parts.count, threads, [&](int64_t part, int thread) {
    const int64_t first = part / parts.bands * parts.images, begin = part % parts.bands * parts.band;
    const int64_t end = std::min(begin + parts.band, g.p), last = std::min(first + parts.images, g.n);
    for (int64_t image = first; image < last; image += at_once) {
      const int64_t images = std::min(at_once, last - image);
      for (int64_t row = begin; row < end; row += fprop.max_rows) {
        const Conv2DBlock block = {image, row, std::min(row + fprop.max_rows, end), 0, g.q, 0, g.k};
        convolve(block, images, thread);
        for (int64_t i = 0; i < images; ++i)
          sums.add(part, y + ((image + i) * g.p + row) * g.q * g.k, (block.row_end - row) * g.q);
      }
    }
  });
  sums.finish(*statistics);
}

}  // namespace fastconv
