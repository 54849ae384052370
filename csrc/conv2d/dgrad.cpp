// Host side of dgrad: weights packed once for all blocks, and the cut into blocks.
#include "conv2d/blocks.h"

namespace fastconv {

Dgrad::Dgrad(const Conv2DGeometry& geometry, bool computed)
    : g(geometry),
      winograd(conv2d_uses_winograd(g)),
      pass(WinogradPass::dgrad(g)),
      layout(winograd ? pass.in : conv2d_dy_layout(g, computed)),
      weights(winograd ? pass.weight_floats() : whole_lines(g.r * g.s * g.c * g.k)) {}

void Dgrad::prepare(const float* w, float* to) const {
  if (winograd) {
    pass.weights(w, true, to);
    return;
  }
  constexpr int64_t kPackChannels = 256;  // a multiple of kChannelChunk
  const int64_t chunks = ceil_div(g.c, kPackChannels);
  const auto pack = FASTCONV_PICK(conv2d_dgrad_pack);
  parallel_for(g.r * g.s * chunks, num_threads(), [&](int64_t item, int) {
    const int64_t c = item % chunks * kPackChannels;
    pack(g, w, to, item / chunks / g.s, item / chunks % g.s, c, std::min(c + kPackChannels, g.c));
  });
}

void Dgrad::convolve(const Conv2DBlock& block, const Conv2DRows& dy, int64_t dy_pitch, int64_t images, const float* w,
                     float* dx, float* scratch) const {
  float* to = dx + block.image * g.h * g.w * g.c;
  if (winograd)
    pass.convolve(dy, dy_pitch, images, block.row_begin, block.row_end, w, nullptr, to, scratch);
  else
    FASTCONV_PICK(conv2d_dgrad_block)(g, dy, w, dx, block);
}

namespace {

// The blocks of dgrad alone, and each thread's slot: copied rows, then Winograd's scratch.
struct Blocks {
  int64_t max_rows, images, rows, slot;

  explicit Blocks(const Dgrad& d)
      : max_rows(d.winograd ? d.pass.band_rows(kScratchFloats) : rows_per_block(d.layout, d.g.h, 1, extra(d))),
        images(d.winograd ? d.pass.images_at_once(d.g.n, max_rows) : 1),
        rows(d.winograd ? d.pass.rows_floats(max_rows) : slot_floats(d.layout, d.g.h, 1, extra(d))),
        slot(images * rows + (d.winograd ? d.pass.scratch_floats(images, max_rows) : 0)) {}

  static int64_t extra(const Dgrad& d) { return (d.g.r - 1) / d.g.stride_h + 2; }
};

}  // namespace

size_t conv2d_dgrad_workspace_bytes(const Conv2DGeometry& g, int threads) {
  const Dgrad dgrad(g, false);
  return sizeof(float) * (dgrad.weights + threads * Blocks(dgrad).slot);
}

void conv2d_dgrad(const Conv2DGeometry& g, const float* dy, const float* w, float* dx, float* workspace,
                  size_t workspace_bytes) {
  if (g.n * g.h > 1 && pointwise(g)) {
    conv2d_dgrad(as_one_row(g), dy, w, dx, workspace, workspace_bytes);
    return;
  }
  const Dgrad dgrad(g, false);
  const Blocks blocks(dgrad);
  const int threads = usable_threads(workspace_bytes, dgrad.weights, blocks.slot, "conv2d_dgrad");
  dgrad.prepare(w, workspace);
  const Cut cut = {pixels_per_block(g), !dgrad.winograd, dgrad.winograd ? 4 : 1, blocks.max_rows};
  for_each_block(ceil_div(g.n, blocks.images), g.h, g.w, g.c, cut, threads, [&](Conv2DBlock block, int thread) {
    block.image *= blocks.images;
    const int64_t images = std::min(blocks.images, g.n - block.image);
    float* scratch = workspace + dgrad.weights + thread * blocks.slot;
    int64_t top = (block.row_begin + g.pad_top) / g.stride_h - (g.r - 1) / g.stride_h;
    int64_t bottom = (block.row_end - 1 + g.pad_top) / g.stride_h + 1;
    if (dgrad.winograd) {
      top = dgrad.pass.first_row(block.row_begin);
      bottom = dgrad.pass.end_row(block.row_begin, block.row_end - block.row_begin);
    }
    Conv2DRows rows;
    for (int64_t i = images; i-- > 0;) {
      const float* image = dy + (block.image + i) * g.p * g.q * g.k;
      rows = x_rows(dgrad.layout, image, nullptr, top, bottom, scratch + i * blocks.rows);
    }
    dgrad.convolve(block, rows, blocks.rows, images, workspace, dx, scratch + blocks.images * blocks.rows);
  });
}

}  // namespace fastconv
