// Host side of backward: wgrad and dgrad of an image one after the other, so that dy is loaded (and, behind a batch
// normalization, computed) once for both, x once for wgrad and for the sums over dx, and neither the normalized x nor
// the gradient of y is ever stored.
#include <optional>

#include "batchnorm/statistics.h"
#include "conv2d/blocks.h"
#include "conv2d/deferred_wgrad.h"

namespace fastconv {
namespace {

// The workspace: dgrad's weights, the parts' sums of dw and db, those of the batch normalization and of x's source, then
// each thread's slot of copied rows of x and dy, Winograd's scratch and its sums, dx if it is for the source alone and the
// source's slot.
struct Backward {
  Wgrad wgrad;
  Dgrad dgrad;
  std::optional<DeferredWgrad> source;
  int64_t images;            // worked on at once
  int64_t dy_first, dy_end;  // the rows of dy that an image needs, zeros outside it
  int64_t weights, partials, sums, source_floats;
  int64_t x_floats, dy_floats, scratch, slot;  // x_floats, dy_floats: of an image

  Backward(const Conv2DGeometry& g, bool y_norm, bool x_norm, bool dx, const Conv2DGeometry* x_source)
      : wgrad(g, x_norm),
        dgrad(g, y_norm),
        source(x_source ? std::optional<DeferredWgrad>(*x_source) : std::nullopt),
        images(wgrad.winograd ? wgrad.pass.images_at_once(g.n / wgrad.parts, g.p) : 1),
        dy_first(dgrad.winograd ? dgrad.pass.first_row(0) : 0),
        dy_end(dgrad.winograd ? std::max(dgrad.pass.end_row(0, g.h), round_up(g.p, 4)) : g.p),
        weights(dx || source ? dgrad.weights : 0),
        partials(wgrad.parts * wgrad.part_floats),
        sums((dx || source) && x_norm ? whole_lines(BatchNormParts::floats(wgrad.parts, g.c)) : 0),
        source_floats(source ? whole_lines(source->floats(wgrad.parts)) : 0),
        x_floats(wgrad.winograd ? wgrad.pass.rows_floats(g.p) : wgrad.layout.floats(g.h)),
        dy_floats(dgrad.layout.floats(dy_end - dy_first)),
        scratch(wgrad.winograd
                    ? std::max(wgrad.pass.scratch_floats(images, g.p), dgrad.pass.scratch_floats(images, g.h))
                    : 0),
        slot(images * (x_floats + dy_floats) + scratch + wgrad.sums +
             (source ? whole_lines(images * g.h * g.w * g.c) + source->slot : 0)) {}

  int64_t fixed() const { return weights + partials + sums + source_floats; }
};

}  // namespace

bool conv2d_backward_fits(const Conv2DGeometry& g, const Conv2DGeometry* x_source) {
  constexpr int64_t kLeastParts = 8, kCacheFloats = 192 * 1024;
  const Backward backward(g, true, true, true, x_source);
  const std::optional<DeferredWgrad>& source = backward.source;
  if (source && source->run > source->g.k) return false;
  const int64_t source_floats = source ? g.h * g.w * g.c + source->slot : 0;
  return backward.wgrad.parts >= kLeastParts && backward.x_floats + backward.dy_floats + source_floats <= kCacheFloats;
}

size_t conv2d_backward_workspace_bytes(const Conv2DGeometry& g, bool y_norm, bool x_norm, bool dx,
                                       const Conv2DGeometry* x_source, int threads) {
  const Backward backward(g, y_norm, x_norm, dx, x_source);
  return sizeof(float) * (backward.fixed() + threads * backward.slot);
}

void conv2d_backward(const Conv2DGeometry& g, const Conv2DBackward& a, float* workspace, size_t workspace_bytes) {
  const Backward backward(g, a.y_norm, a.x.norm, a.dx, a.x_source ? &a.x_source->geometry : nullptr);
  const Wgrad& wgrad = backward.wgrad;
  const Dgrad& dgrad = backward.dgrad;
  const std::optional<DeferredWgrad>& source = backward.source;
  const int threads = usable_threads(workspace_bytes, backward.fixed(), backward.slot, "conv2d_backward");
  const int64_t x_image = g.h * g.w * g.c, y_image = g.p * g.q * g.k;
  float *weights = workspace, *partials = weights + backward.weights, *sums_memory = partials + backward.partials;
  float *source_sums = sums_memory + backward.sums, *slots = workspace + backward.fixed();
  BatchNormParts sums(sums_memory, a.x_gradients ? wgrad.parts : 0, g.c);
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

  if (a.dx || source) dgrad.prepare(a.w, weights);
  parallel_for(wgrad.parts, threads, [&](int64_t part, int thread) {
    float *x_scratch = slots + thread * backward.slot, *dy_scratch = x_scratch + backward.images * backward.x_floats;
    float *scratch = dy_scratch + backward.images * backward.dy_floats, *m = scratch + backward.scratch;
    float *dx_scratch = m + wgrad.sums, *source_scratch = dx_scratch + whole_lines(backward.images * x_image);
    float *dw = partials + part * wgrad.part_floats, *db = a.db ? dw + g.r * g.s * g.c * g.k : nullptr;
    wgrad.begin(dw, db, m);
    if (source) source->begin(source_sums, part);
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
      if (!a.dx && !source) continue;
      float* dx = source ? dx_scratch : a.dx + image * x_image;
      dgrad.convolve({0, 0, g.h, 0, g.w, 0, g.c}, dy, backward.dy_floats, images, weights, dx, scratch);
      if (!a.x_gradients) continue;
      for (int64_t i = 0; i < images; ++i, dx += x_image) {
        const float* from = a.x.data + (image + i) * x_image;
        sums.add_gradients(part, dx, from, *a.x.norm, g.h * g.w, source ? dx : nullptr);
        if (source) source->add(a.x_source->x, image + i, dx, source_sums, part, source_scratch);
      }
    }
    wgrad.end(dw, m);
  });
  wgrad.reduce(partials, a.dw, a.db);
  if (a.x_gradients) sums.finish_gradients(a.x.norm->rstd, a.x.norm->gamma, *a.x_gradients);
  if (source) source->finish(source_sums, wgrad.parts, a.x_source->w, *a.x.norm, *a.x_gradients, a.x_source->dw);
}

}  // namespace fastconv
