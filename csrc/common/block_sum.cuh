// Sums over the threads of a block, in double and in a fixed order.
#pragma once
#include "common/cuda.cuh"

namespace fastconv::cuda {

constexpr int block_sum_bytes(int sums, int threads) { return sums * (threads / kWarp) * int(sizeof(double)); }

// The sum of values[i] in thread i, for i < kSums; other threads get nothing of use. Shared memory from its start:
// block_sum_bytes. All threads come here, once.
template <int kSums>
__device__ double block_sum(const double (&values)[kSums]) {
  const int warps = threads() / kWarp;
  const Shared<double> sums = shared<double>(0, kSums * warps);
  for (int i = 0; i < kSums; ++i) {
    double sum = values[i];
    for (int mask = kWarp / 2; mask > 0; mask /= 2) sum += shfl_xor(sum, mask);
    if (lane() == 0) sums.store(kSums * warp() + i, sum);
  }
  sync();
  double total = 0.0;
  if (thread() < kSums)
    for (int w = 0; w < warps; ++w) total += sums.load(kSums * w + thread());
  return total;
}

}  // namespace fastconv::cuda
