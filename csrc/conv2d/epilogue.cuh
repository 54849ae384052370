// The end of a product: its tile from the registers of tensor cores to threads that each have one column of it, where
// whatever is summed over rows is summed, and rows are written side by side.
#pragma once
#include <algorithm>

#include "conv2d/gemm.cuh"

namespace fastconv::cuda {

template <class T>
class Epilogue {
  static constexpr int kPitch = T::kN == 8 ? 8 : T::kN + 8;  // pairs of 16 lanes reach every bank once
  static constexpr int kParts = T::kWarpsK, kPartFloats = T::kM * kPitch;
  static constexpr int kGroups = kGemmThreads / T::kN;  // threads of a column

 public:
  static constexpr int kValues = T::kM / kGroups;  // of a thread
  static constexpr int kBytes =
      (kParts * kPartFloats + 3 * kGemmThreads) * int(sizeof(float)) + T::kM * int(sizeof(int));

  static __device__ int column() { return thread() % T::kN; }
  static __device__ int row(int i) { return thread() / T::kN + i * kGroups; }

  // value[i]: row(i) of this thread's column.
  static __device__ void collect(const Sums<T>& sums, float (&value)[kValues]) {
    const Shared<float> parts = shared<float>(0, kParts * kPartFloats);
    const int group = lane() / 4, member = lane() % 4;
    sync();  // the last step's products are done
#pragma unroll
    for (int i = 0; i < T::kFragmentsM; ++i)
#pragma unroll
      for (int j = 0; j < T::kFragmentsN; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int m = T::warp_m() + i * kMmaM + group + e * 8, n = T::warp_n() + j * kMmaN + 2 * member;
          parts.store2(T::warp_k() * kPartFloats + m * kPitch + n, {{sums.d[i][j][2 * e], sums.d[i][j][2 * e + 1]}});
        }
    sync();
#pragma unroll
    for (int i = 0; i < kValues; ++i) {
      value[i] = 0.0f;
#pragma unroll
      for (int part = 0; part < kParts; ++part) value[i] += parts.load(part * kPartFloats + row(i) * kPitch + column());
    }
  }

  // The sum of `value` over the threads of a column, in each of them. `which`: 0 to 2, another one for each call.
  static __device__ float column_sum(int which, float value) {
    const Shared<float> all = scratch(which);
    all.store(thread(), value);
    sync();
    float sum = 0.0f;
#pragma unroll
    for (int group = 0; group < kGroups; ++group) sum += all.load(group * T::kN + column());
    return sum;
  }

  // The sum of B over k, of this thread's column.
  static __device__ float sum_of_b(const Sums<T>& sums) {
    const Shared<float> all = scratch(0);
#pragma unroll
    for (int j = 0; j < T::kFragmentsN; ++j) {
      float sum = sums.b[j];
      sum += shfl_xor(sum, 1);
      sum += shfl_xor(sum, 2);
      // of the warps that have the same columns the first alone; each of those that share a step has a part
      if (lane() % 4 == 0 && T::warp_m() == 0)
        all.store(T::warp_k() * T::kN + T::warp_n() + j * kMmaN + lane() / 4, sum);
    }
    sync();
    float sum = 0.0f;
#pragma unroll
    for (int part = 0; part < kParts; ++part) sum += all.load(part * T::kN + column());
    return sum;
  }

  // Room for a number of each row.
  static __device__ Shared<int> rows() {
    return shared<int>((kParts * kPartFloats + 3 * kGemmThreads) * int(sizeof(float)), T::kM);
  }

 private:
  static __device__ Shared<float> scratch(int which) {
    return shared<float>((kParts * kPartFloats + which * kGemmThreads) * int(sizeof(float)), kGemmThreads);
  }
};

// Of shared memory, for a product and its end, which uses the memory of the stages again.
template <class Product, class T>
int shared_bytes(int arrays_a, int arrays_b) {
  return std::max(Product::stage_bytes(arrays_a, arrays_b), Epilogue<T>::kBytes);
}

}  // namespace fastconv::cuda
