// Host side of wgrad: the cut of the images into parts, or of the weights where there are few images.
#include <cstring>

#include "conv2d/blocks.h"

namespace fastconv {

// A part costs three passes over the weights (zeros, its sums, their reduction), some 24 cycles a vector of them from
// the level-2 cache, against one multiplication a pixel at two a cycle: with 256 pixels a part that is a tenth. (conv4
// of cnn at batch 32, 64 pixels an image: 16 parts 320 GFLOP/s, 8 parts 400; 2 cores of EPYC Zen 5, 2026-11-23.) Weights
// that fill that cache alone come from a slower one; Winograd has four times as many sums. Weights that fill the last
// cache are cut instead: 512>512 of 8 images of 16 x 16, which added up 9 MB a part again and again, 405 -> 436 GFLOP/s.
int64_t Wgrad::part_count(int64_t pieces) const {
  constexpr int64_t kMost = 16, kCacheFloats = 64 * 1024;
  constexpr int64_t kMostFloats = 1024 * 1024;
  const int64_t weights = g.r * g.s * g.c * g.k;
  if (!winograd && weights > kMostFloats) return 1;
  const int64_t least = winograd || weights > kCacheFloats ? 1024 : 256;
  return std::clamp<int64_t>(g.n * g.p * g.q / least, 1, std::min(pieces, kMost));
}

Wgrad::Wgrad(const Conv2DGeometry& geometry, bool norm)
    : g(geometry),
      winograd(conv2d_uses_winograd(g)),
      pass(WinogradPass::fprop(g)),
      layout(winograd ? pass.in : conv2d_x_layout(g, norm)),
      parts(part_count(g.n)),
      part_floats(whole_lines(g.r * g.s * g.c * g.k + g.k)),
      sums(winograd ? pass.weight_floats() : 0) {}

void Wgrad::begin(float* dw, float* db, float* m) const {
  if (winograd)
    std::memset(m, 0, sizeof(float) * sums);
  else
    std::memset(dw, 0, sizeof(float) * g.r * g.s * g.c * g.k);
  if (db) std::memset(db, 0, sizeof(float) * g.k);
}

void Wgrad::add(const Conv2DRows& x, int64_t x_pitch, const Conv2DRows& dy, int64_t dy_pitch, int64_t images,
                int64_t row, int64_t row_end, float* dw, float* db, float* m, float* scratch) const {
  if (!winograd) {
    FASTCONV_PICK(conv2d_wgrad_rows)(g, x, dy, dw, db, row, row_end, 0, g.s * g.c);
    return;
  }
  const WinogradInput gradient = {dy.at + (row - dy.first) * dy.pitch, dy_pitch, dy.pitch};
  FASTCONV_PICK(winograd_wgrad_add)
  (pass.banded(images, row_end - row), pass.input(x, row, x_pitch), gradient, m, scratch);
  if (!db) return;
  for (int64_t i = 0; i < images; ++i)
    FASTCONV_PICK(conv2d_wgrad_bias)(g, {dy.at + i * dy_pitch, dy.first, dy.pitch}, db, row, row_end);
}

void Wgrad::end(float* dw, const float* m) const {
  if (winograd) FASTCONV_PICK(winograd_wgrad_finish)(m, 1, 0, g.c, g.k, 0, g.c, dw);
}

void Wgrad::reduce(const float* partials, int64_t count, float* dw, float* db) const {
  constexpr int64_t kChunk = 1024;
  const int64_t weights = g.r * g.s * g.c * g.k;
  const auto reduce = [&](float* to, const float* from, int64_t floats) {
    std::memcpy(to, from, sizeof(float) * floats);
    for (int64_t part = 1; part < count; ++part)
      for (int64_t i = 0; i < floats; ++i) to[i] += from[part * part_floats + i];
  };
  parallel_for(ceil_div(weights, kChunk), num_threads(), [&](int64_t item, int) {
    const int64_t begin = item * kChunk;
    reduce(dw + begin, partials + begin, std::min(kChunk, weights - begin));
  });
  if (db) reduce(db, partials + weights, g.k);
}

namespace {

// The bands of wgrad alone, and the workspace: the parts' sums, then each thread's slot of copied rows of x and dy,
// Winograd's scratch and its sums. A part is a range of strips, some rows of an image: few images keep all threads busy.
struct Bands {
  RowLayout dy;
  int64_t strip, strips_per_image, parts;
  int64_t rows, images, x_floats, dy_floats, scratch, slot, fixed;  // x_floats, dy_floats: of an image

  explicit Bands(const Wgrad& w)
      : dy(w.winograd ? WinogradPass::dgrad(w.g).in : RowLayout{w.g.p, w.g.q, w.g.k, 0, 0, false, false}),
        strip(w.winograd ? 4 : 1),
        strips_per_image(ceil_div(w.g.p, strip)),
        parts(part_count(w, w.g.n * strips_per_image)),
        rows(w.winograd ? w.pass.band_rows(kScratchFloats) : rows_per_block(w.layout, w.g.p, w.g.stride_h, w.g.r)),
        images(w.winograd ? w.pass.images_at_once(std::max<int64_t>(w.g.n / parts, 1), rows) : 1),
        x_floats(w.winograd ? w.pass.rows_floats(rows) : slot_floats(w.layout, w.g.p, w.g.stride_h, w.g.r)),
        dy_floats(dy.floats(rows)),
        scratch(w.winograd ? w.pass.scratch_floats(images, rows) : 0),
        slot(images * (x_floats + dy_floats) + scratch + w.sums),
        fixed(parts > 1 ? parts * w.part_floats : 0) {}

  // One image in a few parts is not shared out as evenly as its weights are.
  static int64_t part_count(const Wgrad& w, int64_t strips) {
    constexpr int64_t kLeastOfOneImage = 8;
    const int64_t count = w.part_count(strips);
    return w.g.n == 1 && !w.winograd && count < kLeastOfOneImage ? 1 : count;
  }

  // Calls kernel(image, count, row, row_end) for the bands of a part: of one image, or of `count` small ones.
  template <typename Kernel>
  void for_each(const Conv2DGeometry& g, int64_t part, Kernel&& kernel) const {
    const int64_t strips = g.n * strips_per_image, end = strips * (part + 1) / parts;
    for (int64_t at = strips * part / parts; at < end;) {
      const int64_t image = at / strips_per_image, first = image * strips_per_image;
      const int64_t whole = at == first ? std::min(images, (end - first) / strips_per_image) : 0;
      const int64_t image_end = std::min(g.p, (end - first) * strip);
      for (int64_t row = (at - first) * strip; row < image_end; row += rows)
        kernel(image, std::max<int64_t>(whole, 1), row, std::min(row + rows, image_end));
      at = first + std::max<int64_t>(whole, 1) * strips_per_image;
    }
  }
};

// Dense layers are cut along their inputs. Rows of x are kilobytes apart, so that its lines meet few sets of the caches:
// those of a cut and of some rows are copied side by side, a dense layer of their own. (3072>200, 1024 rows: 292 -> 402
// GFLOP/s; 2 cores of EPYC Zen 5, 2026-11-23.)
void wgrad_dense(const Conv2DGeometry& g, const float* x, const float* dy, float* dw, float* db, int threads) {
  constexpr int64_t kRows = 128;
  const auto kernel = FASTCONV_PICK(conv2d_wgrad_rows);
  parallel_for(ceil_div(g.c, kPixelChunk), threads, [&](int64_t item, int) {
    float panel[kRows * kPixelChunk];
    const int64_t begin = item * kPixelChunk, width = std::min(kPixelChunk, g.c - begin);
    float* db_here = item == 0 ? db : nullptr;
    std::memset(dw + begin * g.k, 0, sizeof(float) * width * g.k);
    if (db_here) std::memset(db_here, 0, sizeof(float) * g.k);
    for (int64_t row = 0; row < g.q; row += kRows) {
      Conv2DGeometry part = g;
      part.c = width;
      part.w = part.q = std::min(kRows, g.q - row);
      for (int64_t i = 0; i < part.q; ++i)
        std::memcpy(panel + i * width, x + (row + i) * g.c + begin, sizeof(float) * width);
      kernel(part, {panel, 0, part.w * width}, {dy + row * g.k, 0, part.q * g.k}, dw + begin * g.k, db_here, 0, 1, 0,
             width);
    }
  });
}

// A part of a pointwise convolution: a range of pixels, whatever their images, in rows that make one sweep each. (8>8 on
// 4096 images of 8 x 8, where an image is half a sweep: 68 -> 114 GFLOP/s; 2 cores of EPYC Zen 5, 2026-11-23.)
void add_pixels(const Conv2DGeometry& g, const float* x, const float* dy, int64_t part, int64_t parts, float* dw,
                float* db) {
  constexpr int64_t kRow = 128;
  const int64_t pixels = g.n * g.h * g.w, end = pixels * (part + 1) / parts;
  const auto kernel = FASTCONV_PICK(conv2d_wgrad_rows);
  for (int64_t at = pixels * part / parts, rows; at < end; at += rows * std::min(kRow, end - at)) {
    rows = std::max<int64_t>((end - at) / kRow, 1);
    Conv2DGeometry band = g;
    band.n = 1;
    band.h = band.p = rows;
    band.w = band.q = std::min(kRow, end - at);
    kernel(band, {x + at * g.c, 0, band.w * g.c}, {dy + at * g.k, 0, band.q * g.k}, dw, db, 0, rows, 0, g.c);
  }
}

// Few and small images, or many weights: the weights are cut instead of the images. Every cut reads all of x and dy.
void wgrad_by_weights(const Wgrad& wgrad, const Bands& bands, const Conv2DInput& x, const float* dy, float* dw,
                      float* db, float* slots, int threads) {
  constexpr int64_t kMostCuts = 16;
  const Conv2DGeometry& g = wgrad.g;
  const int64_t run = g.s * g.c;
  const int64_t chunk = round_up(ceil_div(run, kMostCuts), kPixelChunk);
  const auto kernel = FASTCONV_PICK(conv2d_wgrad_rows);
  parallel_for(ceil_div(run, chunk), threads, [&](int64_t item, int thread) {
    const int64_t begin = item * chunk, end = std::min(begin + chunk, run);
    float* db_here = item == 0 ? db : nullptr;
    for (int64_t r = 0; r < g.r; ++r) std::memset(dw + (r * run + begin) * g.k, 0, sizeof(float) * (end - begin) * g.k);
    if (db_here) std::memset(db_here, 0, sizeof(float) * g.k);
    for (int64_t image = 0; image < g.n; ++image) {
      for (int64_t row = 0; row < g.p; row += bands.rows) {
        const int64_t row_end = std::min(row + bands.rows, g.p), top = row * g.stride_h - g.pad_top;
        const int64_t bottom = (row_end - 1) * g.stride_h - g.pad_top + g.r;
        const float* from = x.data + image * g.h * g.w * g.c;
        kernel(g, x_rows(wgrad.layout, from, x.norm, top, bottom, slots + thread * bands.slot),
               {dy + image * g.p * g.q * g.k, 0, g.q * g.k}, dw, db_here, row, row_end, begin, end);
      }
    }
  });
}

}  // namespace

size_t conv2d_wgrad_workspace_bytes(const Conv2DGeometry& g, bool norm, int threads) {
  const Bands bands{Wgrad(g, norm)};
  return sizeof(float) * (bands.fixed + threads * bands.slot);
}

void conv2d_wgrad(const Conv2DGeometry& g, const Conv2DInput& x, const float* dy, float* dw, float* db,
                  float* workspace, size_t workspace_bytes) {
  if (g.n * g.h == 1 && pointwise(g) && !x.norm) {
    wgrad_dense(g, x.data, dy, dw, db, num_threads());
    return;
  }
  const Wgrad wgrad(g, x.norm);
  const Bands bands(wgrad);
  const int threads = usable_threads(workspace_bytes, bands.fixed, bands.slot, "conv2d_wgrad");
  float* slots = workspace + bands.fixed;
  if (bands.parts == 1 && !wgrad.winograd) {
    wgrad_by_weights(wgrad, bands, x, dy, dw, db, slots, threads);
    return;
  }
  parallel_for(bands.parts, threads, [&](int64_t part, int thread) {
    float *x_scratch = slots + thread * bands.slot, *dy_scratch = x_scratch + bands.images * bands.x_floats;
    float *scratch = dy_scratch + bands.images * bands.dy_floats, *m = scratch + bands.scratch;
    float* partial = bands.parts > 1 ? workspace + part * wgrad.part_floats : dw;
    float* partial_b = !db ? nullptr : bands.parts > 1 ? partial + g.r * g.s * g.c * g.k : db;
    wgrad.begin(partial, partial_b, m);
    if (pointwise(g) && !wgrad.layout.copied) {
      add_pixels(g, x.data, dy, part, bands.parts, partial, partial_b);
      return;
    }
    bands.for_each(g, part, [&](int64_t image, int64_t count, int64_t row, int64_t row_end) {
      const int64_t rows = row_end - row, top = row * g.stride_h - g.pad_top;
      const int64_t bottom =
          wgrad.winograd ? wgrad.pass.end_row(row, rows) : (row_end - 1) * g.stride_h - g.pad_top + g.r;
      Conv2DRows x_in, dy_in;
      for (int64_t i = count; i-- > 0;) {
        const float* x_image = x.data + (image + i) * g.h * g.w * g.c;
        const float* dy_image = dy + (image + i) * g.p * g.q * g.k;
        x_in = x_rows(wgrad.layout, x_image, x.norm, top, bottom, x_scratch + i * bands.x_floats);
        dy_in = x_rows(bands.dy, dy_image, nullptr, row, row + round_up(rows, 4), dy_scratch + i * bands.dy_floats);
      }
      wgrad.add(x_in, bands.x_floats, inside(bands.dy, dy_in), bands.dy_floats, count, row, row_end, partial, partial_b,
                m, scratch);
    });
    wgrad.end(partial, m);
  });
  if (bands.parts > 1) wgrad.reduce(workspace, bands.parts, dw, db);
}

}  // namespace fastconv
