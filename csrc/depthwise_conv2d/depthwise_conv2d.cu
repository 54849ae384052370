// Depthwise convolution on the GPU: a thread makes an output, or a number of dx. Of wgrad a block sums a part of the
// pixels for one tap of some filters, and a second kernel adds the parts.
#include "common/images.cuh"
#include "common/windows.h"
#include "conv2d/splits.cuh"
#include "depthwise_conv2d/depthwise_conv2d.h"

namespace fastconv::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;
constexpr int64_t kPixelsPerPart = 1024;

__global__ void __launch_bounds__(kImageThreads, kImageBlocks)
    depthwise_forward_kernel(Images outputs, Conv2DGeometry g, Divisor multiplier, Global<const float> x,
                             Global<const float> w, Global<const float> b, Global<float> y) {
  outputs.for_each([&](int64_t image, int64_t p, int q, int k, int64_t i) {
    const Span<int64_t> rows = taps_inside(p, g.stride_h, g.pad_top, g.r, g.h);
    const Span<int> columns = taps_inside<int>(q, g.stride_w, g.pad_left, g.s, g.w);
    const int64_t first = (image * g.h + p * g.stride_h - g.pad_top) * g.w + q * g.stride_w - g.pad_left;
    const int c = multiplier.quotient(k);
    float sum = b ? b.load(k) : 0.0f;
    for (int64_t r = rows.begin; r < rows.end; ++r)
      for (int s = columns.begin; s < columns.end; ++s)
        sum = fmaf(x.load((first + r * g.w + s) * g.c + c), w.load((r * g.s + s) * g.k + k), sum);
    y.store(i, sum);
  });
}

__global__ void __launch_bounds__(kImageThreads, kImageBlocks)
    depthwise_input_gradient_kernel(Images inputs, Conv2DGeometry g, Global<const float> dy, Global<const float> w,
                                    Global<float> dx) {
  const int multiplier = int(g.k / g.c);
  inputs.for_each([&](int64_t image, int64_t h, int column, int c, int64_t i) {
    const Span<int64_t> down = windows_of(h, g.stride_h, g.pad_top, g.r, g.p);
    const Span<int> across = windows_of<int>(column, g.stride_w, g.pad_left, g.s, g.q);
    float sum = 0.0f;
    for (int64_t p = down.begin; p < down.end; ++p)
      for (int q = across.begin; q < across.end; ++q) {
        const int64_t r = h + g.pad_top - p * g.stride_h, s = column + g.pad_left - q * g.stride_w;
        const int64_t from = ((image * g.p + p) * g.q + q) * g.k + int64_t(c) * multiplier;
        const int64_t weight = (r * g.s + s) * g.k + int64_t(c) * multiplier;
        for (int j = 0; j < multiplier; ++j) sum = fmaf(dy.load(from + j), w.load(weight + j), sum);
      }
    dx.store(i, sum);
  });
}

// Blocks (part, filters, tap). The lanes of a warp take a filter each, its warps take rows of outputs in turns.
__global__ void __launch_bounds__(kThreads, kImageBlocks)
    depthwise_weight_sums_kernel(Conv2DGeometry g, int64_t rows_per_part, Global<const float> x, Global<const float> dy,
                                 Global<float> sums) {
  const Shared<float> warps = shared<float>(0, kThreads);
  const int64_t part = block_x(), tap = block_z(), k = block_y() * kWarp + lane();
  const int64_t r = tap / g.s, s = tap - r * g.s, c = k * g.c / g.k;
  const Span<int> columns = outputs_of<int>(int(s), g.stride_w, g.pad_left, g.w, g.q);
  const int64_t rows = g.n * g.p, end = (part + 1) * rows_per_part < rows ? (part + 1) * rows_per_part : rows;
  float sum = 0.0f;
  for (int64_t row = part * rows_per_part + warp(); row < end; row += kWarps) {
    const int64_t image = row / g.p, h = (row - image * g.p) * g.stride_h - g.pad_top + r;
    if (k >= g.k || h < 0 || h >= g.h) continue;
    const int64_t first = (image * g.h + h) * g.w - g.pad_left + s;
    for (int q = columns.begin; q < columns.end; ++q)
      sum = fmaf(x.load((first + q * g.stride_w) * g.c + c), dy.load((row * g.q + q) * g.k + k), sum);
  }
  warps.store(thread(), sum);
  sync();
  if (warp() > 0 || k >= g.k) return;
  for (int other = 1; other < kWarps; ++other) sum += warps.load(other * kWarp + lane());
  sums.store((part * g.r * g.s + tap) * g.k + k, sum);
}

int64_t rows_per_part(const Conv2DGeometry& g) {
  const int64_t rows = (kPixelsPerPart + g.q - 1) / g.q;
  return rows > kWarps ? rows : kWarps;
}

int64_t parts_of(const Conv2DGeometry& g) { return (g.n * g.p + rows_per_part(g) - 1) / rows_per_part(g); }
int64_t input_size(const Conv2DGeometry& g) { return g.n * g.h * g.w * g.c; }
int64_t output_size(const Conv2DGeometry& g) { return g.n * g.p * g.q * g.k; }
int64_t weights_of(const Conv2DGeometry& g) { return g.r * g.s * g.k; }

}  // namespace

void depthwise_conv2d_fprop(const Conv2DGeometry& g, const float* x, const float* w, const float* b, float* y,
                            void* stream) {
  const Images outputs("depthwise_conv2d", g.n, g.p, g.q, g.k);
  launch("depthwise_conv2d_fprop", depthwise_forward_kernel, outputs.grid(), outputs.threads(), 0, Stream(stream),
         outputs, g, Divisor(g.k / g.c), global(x, input_size(g)), global(w, weights_of(g)), global(b, g.k),
         global(y, output_size(g)));
}

void depthwise_conv2d_dgrad(const Conv2DGeometry& g, const float* dy, const float* w, float* dx, void* stream) {
  const Images inputs("depthwise_conv2d", g.n, g.h, g.w, g.c);
  launch("depthwise_conv2d_dgrad", depthwise_input_gradient_kernel, inputs.grid(), inputs.threads(), 0, Stream(stream),
         inputs, g, global(dy, output_size(g)), global(w, weights_of(g)), global(dx, input_size(g)));
}

size_t depthwise_conv2d_wgrad_workspace_bytes(const Conv2DGeometry& g) {
  return sizeof(float) * size_t(parts_of(g) * weights_of(g));
}

void depthwise_conv2d_wgrad(const Conv2DGeometry& g, const float* x, const float* dy, float* dw, float* workspace,
                            void* stream) {
  const int64_t parts = parts_of(g), weights = weights_of(g);
  launch("depthwise_conv2d_sums", depthwise_weight_sums_kernel, {parts, (g.k + kWarp - 1) / kWarp, g.r * g.s}, kThreads,
         kThreads * int(sizeof(float)), Stream(stream), g, rows_per_part(g), global(x, input_size(g)),
         global(dy, output_size(g)), global(workspace, parts * weights));
  add_partials("depthwise_conv2d_finish", {workspace, parts, weights, 0}, nullptr, g.k, dw, nullptr, stream);
}

}  // namespace fastconv::cuda
