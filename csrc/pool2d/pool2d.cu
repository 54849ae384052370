// Pooling on the GPU: a thread makes an output from its window, or a number of dx from the windows that hold its pixel.
#include "common/images.cuh"
#include "common/windows.h"
#include "pool2d/pool2d.h"

namespace fastconv::cuda {
namespace {

__device__ Span<int64_t> rows_inside(const Conv2DGeometry& g, int64_t p) {
  return taps_inside(p, g.stride_h, g.pad_top, g.r, g.h);
}

__device__ Span<int> columns_inside(const Conv2DGeometry& g, int q) {
  return taps_inside<int>(q, g.stride_w, g.pad_left, g.s, g.w);
}

// Calls body(r, s, value) for the pixels of a window that lie inside the image, row by row; row_end() after each row.
template <typename Body, typename RowEnd>
__device__ void for_each_tap(const Conv2DGeometry& g, Global<const float> x, int64_t image, int64_t p, int q, int c,
                             Body&& body, RowEnd&& row_end) {
  const Span<int64_t> rows = rows_inside(g, p);
  const Span<int> columns = columns_inside(g, q);
  const int64_t first = (image * g.h + p * g.stride_h - g.pad_top) * g.w + q * g.stride_w - g.pad_left;
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    for (int s = columns.begin; s < columns.end; ++s) body(int(r), s, x.load((first + r * g.w + s) * g.c + c));
    row_end();
  }
}

// Calls body(p, q, place) for the windows that hold a pixel; `place` is that of their output in dy.
template <typename Body>
__device__ void for_each_window(const Conv2DGeometry& g, int64_t image, int64_t h, int w, int c, Body&& body) {
  const Span<int64_t> down = windows_of(h, g.stride_h, g.pad_top, g.r, g.p);
  const Span<int> across = windows_of<int>(w, g.stride_w, g.pad_left, g.s, g.q);
  for (int64_t p = down.begin; p < down.end; ++p)
    for (int q = across.begin; q < across.end; ++q) body(p, q, ((image * g.p + p) * g.q + q) * g.c + c);
}

__global__ void __launch_bounds__(kImageThreads, kImageBlocks)
    maxpool2d_forward_kernel(Images outputs, Conv2DGeometry g, Global<const float> x, Global<float> y,
                             Global<float> index) {
  outputs.for_each([&](int64_t image, int64_t p, int q, int c, int64_t i) {
    float best = 0.0f;
    int best_tap = -1;
    const auto take_if_above = [&](int r, int s, float value) {
      const bool above = best_tap < 0 || value > best || (value != value && best == best);
      best = above ? value : best;
      best_tap = above ? r * int(g.s) + s : best_tap;
    };
    for_each_tap(g, x, image, p, q, c, take_if_above, [] {});
    y.store(i, best);
    if (index) index.store(i, float(best_tap));
  });
}

__global__ void __launch_bounds__(kImageThreads, kImageBlocks)
    maxpool2d_backward_kernel(Images inputs, Conv2DGeometry g, Global<const float> dy, Global<const float> index,
                              Global<float> dx) {
  inputs.for_each([&](int64_t image, int64_t h, int w, int c, int64_t i) {
    float sum = 0.0f;
    for_each_window(g, image, h, w, c, [&](int64_t p, int q, int64_t at) {
      const int64_t tap = (h + g.pad_top - p * g.stride_h) * g.s + w + g.pad_left - q * g.stride_w;
      if (index.load(at) == float(tap)) sum += dy.load(at);
    });
    dx.store(i, sum);
  });
}

__device__ float pixels_of(const Conv2DGeometry& g, int64_t p, int q) {
  const Span<int64_t> rows = rows_inside(g, p);
  const Span<int> columns = columns_inside(g, q);
  return float(rows.end - rows.begin) * float(columns.end - columns.begin);
}

__global__ void __launch_bounds__(kImageThreads, kImageBlocks)
    avgpool2d_forward_kernel(Images outputs, Conv2DGeometry g, Global<const float> x, Global<float> y, bool mean) {
  outputs.for_each([&](int64_t image, int64_t p, int q, int c, int64_t i) {
    float sum = 0.0f, row_sum = 0.0f;
    const auto take = [&](int, int, float value) { row_sum += value; };
    const auto end_row = [&] {
      sum += row_sum;
      row_sum = 0.0f;
    };
    for_each_tap(g, x, image, p, q, c, take, end_row);
    y.store(i, mean ? sum / pixels_of(g, p, q) : sum);
  });
}

__global__ void __launch_bounds__(kImageThreads, kImageBlocks)
    avgpool2d_backward_kernel(Images inputs, Conv2DGeometry g, Global<const float> dy, Global<float> dx, bool mean) {
  inputs.for_each([&](int64_t image, int64_t h, int w, int c, int64_t i) {
    float sum = 0.0f;
    for_each_window(g, image, h, w, c, [&](int64_t p, int q, int64_t at) {
      sum += mean ? dy.load(at) / pixels_of(g, p, q) : dy.load(at);
    });
    dx.store(i, sum);
  });
}

Images inputs_of(const Conv2DGeometry& g) { return Images("pool2d", g.n, g.h, g.w, g.c); }
Images outputs_of(const Conv2DGeometry& g) { return Images("pool2d", g.n, g.p, g.q, g.c); }
int64_t input_size(const Conv2DGeometry& g) { return g.n * g.h * g.w * g.c; }
int64_t output_size(const Conv2DGeometry& g) { return g.n * g.p * g.q * g.c; }

}  // namespace

void maxpool2d_forward(const Conv2DGeometry& g, const float* x, float* y, float* index, void* stream) {
  const Images outputs = outputs_of(g);
  launch("maxpool2d_forward", maxpool2d_forward_kernel, outputs.grid(), outputs.threads(), 0, Stream(stream), outputs,
         g, global(x, input_size(g)), global(y, output_size(g)), global(index, output_size(g)));
}

void maxpool2d_backward(const Conv2DGeometry& g, const float* dy, const float* index, float* dx, void* stream) {
  const Images inputs = inputs_of(g);
  launch("maxpool2d_backward", maxpool2d_backward_kernel, inputs.grid(), inputs.threads(), 0, Stream(stream), inputs, g,
         global(dy, output_size(g)), global(index, output_size(g)), global(dx, input_size(g)));
}

void avgpool2d_forward(const Conv2DGeometry& g, const float* x, float* y, bool mean, void* stream) {
  const Images outputs = outputs_of(g);
  launch("avgpool2d_forward", avgpool2d_forward_kernel, outputs.grid(), outputs.threads(), 0, Stream(stream), outputs,
         g, global(x, input_size(g)), global(y, output_size(g)), mean);
}

void avgpool2d_backward(const Conv2DGeometry& g, const float* dy, float* dx, bool mean, void* stream) {
  const Images inputs = inputs_of(g);
  launch("avgpool2d_backward", avgpool2d_backward_kernel, inputs.grid(), inputs.threads(), 0, Stream(stream), inputs, g,
         global(dy, output_size(g)), global(dx, input_size(g)), mean);
}

}  // namespace fastconv::cuda
