// Kernels that do the same with every element: a thread takes elements a whole grid apart.
#pragma once
#include "common/cuda.cuh"

namespace fastconv::cuda {

constexpr int kElementwiseThreads = 256;

// More blocks than fit an H100 at once (132 multiprocessors of 8), so that they end evenly.
inline Grid elementwise_grid(int64_t count) {
  constexpr int64_t kMostBlocks = 132 * 8 * 4;
  const int64_t blocks = (count + kElementwiseThreads - 1) / kElementwiseThreads;
  return {blocks < 1 ? 1 : blocks > kMostBlocks ? kMostBlocks : blocks};
}

// Calls body(i) for this thread's share of [0, count).
template <typename Body>
__device__ void for_each_element(int64_t count, Body&& body) {
  for (int64_t i = block_x() * threads() + thread(); i < count; i += blocks_x() * threads()) body(i);
}

}  // namespace fastconv::cuda
