// The products of a step by tensor cores of bfloat16. Panels in bfloat16 have their fragments as tensor cores want them, or
// transposed; weights are floats, and so is what was copied number by number: they are rounded here.
#pragma once
#include "conv2d/gemm.cuh"

namespace fastconv::cuda {

// A panel's numbers at k and k + 1.
template <class Panel>
__device__ uint32_t rounded_pair(Shared<float> panel, int of, int k) {
  if constexpr (Panel::kColumns) {
    const Float2 pair = panel.load2(Panel::index(of, k));
    return bfloat16_pair(pair.v[0], pair.v[1]);
  } else {
    return bfloat16_pair(panel.load(Panel::index(of, k)), panel.load(Panel::index(of, k + 1)));
  }
}

// 16 rows of A from `m`, 16 of k.
template <class Panel>
__device__ void load_fragment_a(uint32_t (&to)[4], Shared<typename Panel::Number> panel, int m, int k) {
  const int row = lane() % 8, matrix = lane() / 8;
  if constexpr (std::is_same_v<typename Panel::Number, float>) {
#pragma unroll
    for (int e = 0; e < 4; ++e)
      to[e] = rounded_pair<Panel>(panel, m + lane() / 4 + e % 2 * 8, k + lane() % 4 * 2 + e / 2 * 8);
  } else if constexpr (Panel::kColumns) {
    load_matrices(to, panel, Panel::index(m + row + matrix % 2 * 8, k + matrix / 2 * 8));
  } else {
    load_matrices_transposed(to, panel, Panel::index(m + matrix % 2 * 8, k + row + matrix / 2 * 8));
  }
}

// All of a warp's columns of B from `n`, 16 of k.
template <class Panel, int kFragments>
__device__ void load_fragments_b(uint32_t (&to)[kFragments][2], Shared<typename Panel::Number> panel, int n, int k) {
  if constexpr (std::is_same_v<typename Panel::Number, float>) {
#pragma unroll
    for (int j = 0; j < kFragments; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e)
        to[j][e] = rounded_pair<Panel>(panel, n + j * kMmaN + lane() / 4, k + lane() % 4 * 2 + e * 8);
  } else {
    static_assert(!Panel::kColumns && kFragments % 2 == 0);
    const int row = lane() % 8, matrix = lane() / 8;
#pragma unroll
    for (int j = 0; j < kFragments; j += 2) {
      uint32_t two[4];
      load_matrices_transposed(two, panel, Panel::index(n + (j + matrix / 2) * kMmaN, k + row + matrix % 2 * 8));
#pragma unroll
      for (int e = 0; e < 4; ++e) to[j + e / 2][e % 2] = two[e];
    }
  }
}

template <class T, class PanelA, class PanelB>
__device__ void multiply_bfloat16(Shared<typename PanelA::Number> a, Shared<typename PanelB::Number> b, Sums<T>& sums) {
#pragma unroll
  for (int step = 0; step < kStep / T::kMmaK / T::kWarpsK; ++step) {
    const int k = (step * T::kWarpsK + T::warp_k()) * T::kMmaK;
    uint32_t of_a[T::kFragmentsM][4], of_b[T::kFragmentsN][2];
#pragma unroll
    for (int i = 0; i < T::kFragmentsM; ++i) load_fragment_a<PanelA>(of_a[i], a, T::warp_m() + i * kMmaM, k);
    load_fragments_b<PanelB>(of_b, b, T::warp_n(), k);
#pragma unroll
    for (int j = 0; j < T::kFragmentsN; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) sums.b[j] += as_float(of_b[j][e] << 16) + as_float(of_b[j][e] & 0xFFFF0000);
#pragma unroll
    for (int i = 0; i < T::kFragmentsM; ++i)
#pragma unroll
      for (int j = 0; j < T::kFragmentsN; ++j) mma_bfloat16(sums.d[i][j], of_a[i], of_b[j]);
  }
}

}  // namespace fastconv::cuda
