// Host side of backward: wgrad and dgrad of an image one after the other, so that dy is loaded (and, behind a batch
// normalization, computed) once for both, x once for wgrad and for the sums over dx, and neither the normalized x nor
// the gradient of y is ever stored.
#include <cstring>

#include "batchnorm/statistics.h"
#include "conv2d/blocks.h"

namespace fastconv {
namespace {

// The workspace: packed weights, the parts' sums of dw and db, those of the batch normalization, then each thread's rows.
struct Workspace {
  RowLayout x, dy;
  int64_t parts, packed, partials, sums, x_slot, slot;

  Workspace(const Conv2DGeometry& g, bool y_norm, bool x_norm, bool dx)
      : x(conv2d_x_layout(g, x_norm)),
        dy(conv2d_dy_layout(g, y_norm)),
        parts(wgrad_parts(g)),
        packed(dx ? packed_floats(g) : 0),
        partials(parts * wgrad_part_floats(g)),
        sums(dx && x_norm ? BatchNormParts::floats(parts, g.c) : 0),
        x_slot(x.floats(g.h)),
        slot(x_slot + dy.floats(g.p)) {}

  int64_t fixed() const { return packed + partials + whole_lines(sums); }
};

}  // namespace

bool conv2d_backward_fits(const Conv2DGeometry& g) {
  constexpr int64_t kLeastParts = 8, kCacheFloats = 192 * 1024;
  const Workspace layout(g, true, true, true);
  return wgrad_parts(g) >= kLeastParts && layout.slot <= kCacheFloats;
}

size_t conv2d_backward_workspace_bytes(const Conv2DGeometry& g, bool y_norm, bool x_norm, bool dx, int threads) {
  const Workspace layout(g, y_norm, x_norm, dx);
  return sizeof(float) * (layout.fixed() + threads * layout.slot);
}

void conv2d_backward(const Conv2DGeometry& g, const Conv2DBackward& a, float* workspace, size_t workspace_bytes) {
  const Workspace layout(g, a.y_norm, a.x.norm, a.dx);
  const int threads = usable_threads(workspace_bytes, layout.fixed(), layout.slot, "conv2d_backward");
  const int64_t x_image = g.h * g.w * g.c, y_image = g.p * g.q * g.k, weights = g.r * g.s * g.c * g.k;
  float *packed = workspace, *partials = packed + layout.packed, *slots = workspace + layout.fixed();
  BatchNormParts sums(partials + layout.partials, a.x_gradients ? layout.parts : 0, g.c);
  const auto wgrad = FASTCONV_PICK(conv2d_wgrad_rows);
  const auto dgrad = FASTCONV_PICK(conv2d_dgrad_block);
  const auto apply = FASTCONV_PICK(batchnorm_backward_apply_bands);
  const auto dy_rows = [&](int64_t image, float* scratch) {
    const float* from = a.dy + image * y_image;
    if (!a.y_norm) return x_rows(layout.dy, from, nullptr, 0, g.p, scratch);
    return computed_rows(
        layout.dy, from, 0, g.p, scratch, [&](const float* rows, float* to, const BatchNormBands& bands) {
          apply(rows, a.y + image * y_image, g.k, *a.y_norm, a.y_gradients->slope_x, a.y_gradients->offset, to, bands);
        });
  };

  if (a.dx) dgrad_pack(g, a.w, packed);
  parallel_for(layout.parts, threads, [&](int64_t part, int thread) {
    float *x_scratch = slots + thread * layout.slot, *dy_scratch = x_scratch + layout.x_slot;
    float *dw = partials + part * wgrad_part_floats(g), *db = a.db ? dw + weights : nullptr;
    std::memset(dw, 0, sizeof(float) * wgrad_part_floats(g));
    for (int64_t image = g.n * part / layout.parts; image < g.n * (part + 1) / layout.parts; ++image) {
      const float* x = a.x.data + image * x_image;
      const Conv2DRows dy = dy_rows(image, dy_scratch);
      const Conv2DRows inside = {layout.dy.copied ? dy.at + layout.dy.left * g.k : dy.at, dy.first, dy.pitch};
      wgrad(g, x_rows(layout.x, x, a.x.norm, 0, g.h, x_scratch), inside, dw, db, 0, g.p, 0, g.s * g.c);
      if (!a.dx) continue;
      dgrad(g, dy, packed, a.dx, {image, 0, g.h, 0, g.w, 0, g.c});
      if (a.x_gradients) sums.add_gradients(part, a.dx + image * x_image, x, *a.x.norm, g.h * g.w);
    }
  });
  wgrad_reduce(g, layout.parts, partials, a.dw, a.db);
  if (a.x_gradients) sums.finish_gradients(a.x.norm->rstd, a.x.norm->gamma, *a.x_gradients);
}

}  // namespace fastconv
