// Ranges of a flat array on the GPU (ranges.h): a row of kParts blocks takes each of them, in parts by its length alone.
#pragma once
#include "common/cuda.cuh"

namespace fastconv::cuda {

constexpr int kBlockSumBytes = int(sizeof(double)) * (1024 / kWarp);  // shared memory of sum_of_block

// The sum over the block's threads, in thread 0; all threads call it, once.
__device__ inline double sum_of_block(double value) {
  const int warps = threads() / kWarp;
  const Shared<double> sums = shared<double>(0, warps);
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value += shfl_xor(value, mask);
  if (lane() == 0) sums.store(warp(), value);
  sync();
  double sum = 0.0;
  for (int i = 0; thread() == 0 && i < warps; ++i) sum += sums.load(i);
  return sum;
}

struct Ranges {
  Global<const int64_t> bounds;  // begin and end of each

  static constexpr int kParts = 128;  // about a block for each multiprocessor of an H100
  static constexpr int64_t kSmallestPart = 1024;

  // Calls body(i) for this thread's share of the part of its block.
  template <typename Body>
  __device__ void for_each_element(Body&& body) const {
    const int64_t begin = bounds.load(2 * block_y()), end = bounds.load(2 * block_y() + 1);
    const int64_t even = (end - begin + kParts - 1) / kParts, length = even > kSmallestPart ? even : kSmallestPart;
    const int64_t first = begin + block_x() * length, last = first + length < end ? first + length : end;
    for (int64_t i = first + thread(); i < last; i += threads()) body(i);
  }

  // Stores the sum over the block's threads as the number of its part; all threads call it.
  __device__ void store_sum(double value, Global<float> partial) const {
    const double sum = sum_of_block(value);
    if (thread() == 0) partial.store(block_y() * kParts + block_x(), float(sum));
  }

  // The sum of the parts of the block's range, in each lane of a warp.
  __device__ double sum_of_parts(Global<const float> partial) const {
    double sum = 0.0;
    for (int i = lane(); i < kParts; i += kWarp) sum += double(partial.load(block_y() * kParts + i));
    for (int mask = kWarp / 2; mask > 0; mask /= 2) sum += shfl_xor(sum, mask);
    return sum;
  }
};

}  // namespace fastconv::cuda
