// Copies on the GPU: a thread finds where its number comes from.
#include "common/images.cuh"
#include "layout/layout.h"

namespace fastconv::cuda {
namespace {

__global__ void __launch_bounds__(kImageThreads, kImageBlocks)
    space_to_batch_kernel(Images outputs, Dilation d, Global<const float> images, Global<float> batch) {
  const int dilation = int(d.dilation_w);
  outputs.for_each([&](int64_t at, int64_t line, int column, int c, int64_t i) {
    const int64_t phase = at / d.n, image = at - phase * d.n, row = phase / dilation;
    const int64_t h = line * d.dilation_h + row - d.pad_top;
    const int64_t w = int64_t(column) * dilation + (phase - row * dilation) - d.pad_left;
    const bool inside = h >= 0 && h < d.h && w >= 0 && w < d.w;
    batch.store(i, inside ? images.load(((image * d.h + h) * d.w + w) * d.c + c) : 0.0f);
  });
}

__global__ void __launch_bounds__(kImageThreads, 3)
    batch_to_space_kernel(Images outputs, Dilation d, Divisor dilation, Global<const float> batch,
                          Global<float> images) {
  outputs.for_each([&](int64_t image, int64_t line, int column, int c, int64_t i) {
    const int64_t h = (line + d.pad_top) / d.dilation_h, row = line + d.pad_top - h * d.dilation_h;
    const int padded = column + int(d.pad_left), w = dilation.quotient(padded);
    const int64_t at = (row * d.dilation_w + dilation.remainder(padded, w)) * d.n + image;
    const bool inside = h < d.batch_h && w < d.batch_w;
    images.store(i, inside ? batch.load(((at * d.batch_h + h) * d.batch_w + w) * d.c + c) : 0.0f);
  });
}

__global__ void __launch_bounds__(kImageThreads, kImageBlocks)
    swap_axes_kernel(Images outputs, Global<const float> x, Global<float> y) {
  outputs.for_each([&](int64_t, int64_t b, int a, int c, int64_t i) {
    y.store(i, x.load((a * outputs.lines + b) * int64_t(outputs.channels.d) + c));
  });
}

int64_t images_size(const Dilation& d) { return d.n * d.h * d.w * d.c; }
int64_t batch_size(const Dilation& d) { return d.batch_n() * d.batch_h * d.batch_w * d.c; }

}  // namespace

void space_to_batch(const Dilation& d, const float* images, float* batch, void* stream) {
  const Images outputs("space_to_batch", d.batch_n(), d.batch_h, d.batch_w, d.c);
  launch("space_to_batch", space_to_batch_kernel, outputs.grid(), outputs.threads(), 0, Stream(stream), outputs, d,
         global(images, images_size(d)), global(batch, batch_size(d)));
}

void batch_to_space(const Dilation& d, const float* batch, float* images, void* stream) {
  const Images outputs("batch_to_space", d.n, d.h, d.w, d.c);
  require(d.w + d.pad_left < 1 << 30, "batch_to_space", "fewer than 2^30 columns with padding", d.w + d.pad_left);
  launch("batch_to_space", batch_to_space_kernel, outputs.grid(), outputs.threads(), 0, Stream(stream), outputs, d,
         Divisor(d.dilation_w), global(batch, batch_size(d)), global(images, images_size(d)));
}

void swap_axes(const float* x, float* y, int64_t a, int64_t b, int64_t c, void* stream) {
  const Images outputs("swap_axes", 1, b, a, c);
  launch("swap_axes", swap_axes_kernel, outputs.grid(), outputs.threads(), 0, Stream(stream), outputs,
         global(x, a * b * c), global(y, a * b * c));
}

}  // namespace fastconv::cuda
