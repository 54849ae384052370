// Kernels that make every number of NHWC images: a block takes lines of pixels, a thread numbers of a line.
#pragma once
#include "common/divisor.cuh"

namespace fastconv::cuda {

constexpr int kImageThreads = 256, kImageBlocks = 4;  // of a multiprocessor: 64 registers a thread

struct Images {
  int64_t n, lines, columns;
  Divisor channels;

  // Throws std::invalid_argument if a line has 2^30 numbers or more.
  Images(const char* op, int64_t n, int64_t lines, int64_t columns, int64_t channel_count)
      : n(n), lines(lines), columns(columns), channels(channel_count) {
    require(columns * channel_count < 1 << 30, op, "fewer than 2^30 numbers a line", columns * channel_count);
  }

  Grid grid() const {
    constexpr int64_t kMostBlocks = 132 * 8 * 4;  // as in elementwise.cuh
    return {n * lines < kMostBlocks ? n * lines : kMostBlocks};
  }

  int threads() const {
    const int64_t warps = (columns * channels.d + kWarp - 1) / kWarp;
    return warps * kWarp < kImageThreads ? int(warps) * kWarp : kImageThreads;
  }

  // Calls body(image, line, column, channel, i) for this thread's numbers; i is the place in the array.
  template <typename Body>
  __device__ void for_each(Body&& body) const {
    const int count = int(columns) * int(channels.d);
    for (int64_t row = block_x(); row < n * lines; row += blocks_x()) {
      const int64_t image = row / lines, line = row - image * lines;
      for (int i = thread(); i < count; i += cuda::threads()) {
        const int column = channels.quotient(i);
        body(image, line, column, channels.remainder(i, column), row * count + i);
      }
    }
  }
};

}  // namespace fastconv::cuda
