// Host side of dgrad: weights packed once for all blocks, and the cut into blocks.
#include "conv2d/blocks.h"

namespace fastconv {
namespace {

int64_t extra_rows(const Conv2DGeometry& g) { return (g.r - 1) / g.stride_h + 2; }

}  // namespace

int64_t packed_floats(const Conv2DGeometry& g) { return whole_lines(g.r * g.s * g.c * g.k); }

void dgrad_pack(const Conv2DGeometry& g, const float* w, float* packed_w) {
  constexpr int64_t kPackChannels = 256;  // a multiple of kChannelChunk
  const int64_t chunks = ceil_div(g.c, kPackChannels);
  const auto pack = FASTCONV_PICK(conv2d_dgrad_pack);
  parallel_for(g.r * g.s * chunks, num_threads(), [&](int64_t item, int) {
    const int64_t c = item % chunks * kPackChannels;
    pack(g, w, packed_w, item / chunks / g.s, item / chunks % g.s, c, std::min(c + kPackChannels, g.c));
  });
}

size_t conv2d_dgrad_workspace_bytes(const Conv2DGeometry& g, int threads) {
  const int64_t slot = slot_floats(conv2d_dy_layout(g, false), g.h, 1, extra_rows(g));
  return sizeof(float) * (packed_floats(g) + threads * slot);
}

void conv2d_dgrad(const Conv2DGeometry& g, const float* dy, const float* w, float* dx, float* workspace,
                  size_t workspace_bytes) {
  const RowLayout layout = conv2d_dy_layout(g, false);
  const int64_t packed = packed_floats(g), slot = slot_floats(layout, g.h, 1, extra_rows(g));
  const int threads = usable_threads(workspace_bytes, packed, slot, "conv2d_dgrad");
  dgrad_pack(g, w, workspace);
  const auto kernel = FASTCONV_PICK(conv2d_dgrad_block);
  for_each_block(g.n, g.h, g.w, g.c, pointwise(g), rows_per_block(layout, g.h, 1, extra_rows(g)), threads,
                 [&](const Conv2DBlock& block, int thread) {
                   const float* image = dy + block.image * g.p * g.q * g.k;
                   const int64_t top = (block.row_begin + g.pad_top) / g.stride_h - (g.r - 1) / g.stride_h;
                   const int64_t bottom = (block.row_end - 1 + g.pad_top) / g.stride_h + 1;
                   float* scratch = workspace + packed + thread * slot;
                   kernel(g, x_rows(layout, image, nullptr, top, bottom, scratch), workspace, dx, block);
                 });
}

}  // namespace fastconv
