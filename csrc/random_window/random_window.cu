// Random windows of images on the GPU: a block of threads for some pixels of one image.
#include "common/divisor.cuh"
#include "common/errors.h"
#include "random_window/place.h"

namespace fastconv::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 64;  // of an image

__global__ void __launch_bounds__(kThreads)
    random_window_kernel(RandomWindow window, Divisor columns, Global<const float> x, Global<const int64_t> seed,
                         Global<const int64_t> step, Global<float> y, int blocks) {
  const int64_t image = block_x();
  const Place place = place_of(window, image, uint64_t(seed.load(0)), uint32_t(uint64_t(step.load(0))));
  const int pixels = int(window.p * window.q);
  for (int pixel = int(block_y()) * kThreads + thread(); pixel < pixels; pixel += blocks * kThreads) {
    const int row = columns.quotient(pixel);
    const Corners corners(window, place, image, row, columns.remainder(pixel, row));
    const int64_t to = (image * pixels + pixel) * window.c;
    for (int64_t k = 0; k < window.c; ++k)
      y.store(to + k, window_value(window, place, corners, k, [&](int64_t at) { return x.load(at); }));
  }
}

}  // namespace

void random_window(const float* x, const int64_t* seed, const int64_t* step, float* y, const RandomWindow& window,
                   void* cuda_stream) {
  const int64_t pixels = window.p * window.q;
  require(pixels < int64_t(1) << 30, "random_window", "fewer than 2^30 pixels of an image", pixels);
  const int64_t wanted = (pixels + kThreads - 1) / kThreads, blocks = wanted < kMaxBlocks ? wanted : kMaxBlocks;
  launch("random_window", random_window_kernel, Grid{window.n, blocks}, kThreads, 0, Stream(cuda_stream), window,
         Divisor(window.q), global(x, window.n * window.h * window.w * window.c), global(seed, 1), global(step, 1),
         global(y, window.n * pixels * window.c), int(blocks));
}

}  // namespace fastconv::cuda
