// Host side of backward: wgrad and dgrad of an image one after the other, so that dy is loaded (and, behind a batch
// normalization, computed) once for both, x once for wgrad and for the sums over dx, and neither the normalized x nor
// the gradient of y is ever stored.
#include "batchnorm/statistics.h"
#include "conv2d/blocks.h"

namespace fastconv {
namespace {

// The workspace: dgrad's weights, the parts' sums of dw and db, those of the batch normalization, then each thread's slot
// of copied rows of x and dy, Winograd's scratch and its sums.
struct Backward {
  Wgrad wgrad;
  Dgrad dgrad;
  int64_t images;            // worked on at once
  int64_t dy_first, dy_end;  // the rows of dy that an image needs, zeros outside it
  int64_t weights, partials, sums, x_floats, dy_floats, scratch, slot;  // x_floats, dy_floats: of an image

  Backward(const Conv2DGeometry& g, bool y_norm, bool x_norm, bool dx)
      : wgrad(g, x_norm),
        dgrad(g, y_norm),
        images(wgrad.winograd ? wgrad.pass.images_at_once(g.n / wgrad.parts, g.p) : 1),
        dy_first(dgrad.winograd ? dgrad.pass.first_row(0) : 0),
        dy_end(dgrad.winograd ? std::max(dgrad.pass.end_row(0, g.h), round_up(g.p, 4)) : g.p),
        weights(dx ? dgrad.weights : 0),
        partials(wgrad.parts * wgrad.part_floats),
        sums(dx && x_norm ? whole_lines(BatchNormParts::floats(wgrad.parts, g.c)) : 0),
        x_floats(wgrad.winograd ? wgrad.pass.rows_floats(g.p) : wgrad.layout.floats(g.h)),
        dy_floats(dgrad.layout.floats(dy_end - dy_first)),
        scratch(wgrad.winograd
                    ? std::max(wgrad.pass.scratch_floats(images, g.p), dgrad.pass.scratch_floats(images, g.h))
                    : 0),
        slot(images * (x_floats + dy_floats) + scratch + wgrad.sums) {}

  int64_t fixed() const { return weights + partials + sums; }
};

}  // namespace

bool conv2d_backward_fits(const Conv2DGeometry& g) {
  constexpr int64_t kLeastParts = 8, kCacheFloats = 192 * 1024;
  const Backward backward(g, true, true, true);
  return backward.wgrad.parts >= kLeastParts && backward.x_floats + backward.dy_floats <= kCacheFloats;
}

size_t conv2d_backward_workspace_bytes(const Conv2DGeometry& g, bool y_norm, bool x_norm, bool dx, int threads) {
  const Backward backward(g, y_norm, x_norm, dx);
  return sizeof(float) * (backward.fixed() + threads * backward.slot);
}

void conv2d_backward(const Conv2DGeometry& g, const Conv2DBackward& a, float* workspace, size_t workspace_bytes) {
  const Backward backward(g, a.y_norm, a.x.norm, a.dx);
  const Wgrad& wgrad = backward.wgrad;
  const Dgrad& dgrad = backward.dgrad;
  const int threads = usable_threads(workspace_bytes, backward.fixed(), backward.slot, "conv2d_backward");
  const int64_t x_image = g.h * g.w * g.c, y_image = g.p * g.q * g.k;
  float *weights = workspace, *partials = weights + backward.weights, *slots = workspace + backward.fixed();
  BatchNormParts sums(partials + backward.partials, a.x_gradients ? wgrad.parts : 0, g.c);
  const auto apply = FASTCONV_PICK(batchnorm_backward_apply_bands);
  const auto dy_rows = [&](int64_t image, float* scratch) {
    const float* from = a.dy + image * y_image;
    if (!a.y_norm) return x_rows(dgrad.layout, from, nullptr, backward.dy_first, backward.dy_end, scratch);
    return computed_rows(dgrad.layout, from, backward.dy_first, backward.dy_end, scratch,
                         [&](const float* rows, float* to, const BatchNormBands& bands) {
                           apply(rows, a.y + image * y_image, g.k, *a.y_norm, a.y_gradients->slope_x,
                                 a.y_gradients->offset, to, bands);
                         });
  };

  if (a.dx) dgrad.prepare(a.w, weights);
  parallel_for(wgrad.parts, threads, [&](int64_t part, int thread) {
    float *x_scratch = slots + thread * backward.slot, *dy_scratch = x_scratch + backward.images * backward.x_floats;
    float *scratch = dy_scratch + backward.images * backward.dy_floats, *m = scratch + backward.scratch;
    float *dw = partials + part * wgrad.part_floats, *db = a.db ? dw + g.r * g.s * g.c * g.k : nullptr;
    wgrad.begin(dw, db, m);
    const int64_t x_first = wgrad.winograd ? wgrad.pass.first_row(0) : 0;
    const int64_t x_end = wgrad.winograd ? wgrad.pass.end_row(0, g.p) : g.h, last = wgrad.first_image(part + 1);
    for (int64_t image = wgrad.first_image(part); image < last; image += backward.images) {
      const int64_t images = std::min(backward.images, last - image);
      Conv2DRows x, dy;
      for (int64_t i = images; i-- > 0;) {
        const float* from = a.x.data + (image + i) * x_image;
        dy = dy_rows(image + i, dy_scratch + i * backward.dy_floats);
        x = x_rows(wgrad.layout, from, a.x.norm, x_first, x_end, x_scratch + i * backward.x_floats);
      }
      wgrad.add(x, backward.x_floats, inside(dgrad.layout, dy), backward.dy_floats, images, 0, g.p, dw, db, m, scratch);
      if (!a.dx) continue;
      dgrad.convolve({image, 0, g.h, 0, g.w, 0, g.c}, dy, backward.dy_floats, images, weights, a.dx, scratch);
      if (!a.x_gradients) continue;
      for (int64_t i = image; i < image + images; ++i)
        sums.add_gradients(part, a.dx + i * x_image, a.x.data + i * x_image, *a.x.norm, g.h * g.w);
    }
    wgrad.end(dw, m);
  });
  wgrad.reduce(partials, a.dw, a.db);
  if (a.x_gradients) sums.finish_gradients(a.x.norm->rstd, a.x.norm->gamma, *a.x_gradients);
}

}  // namespace fastconv
