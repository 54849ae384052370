// A block's tile of a product of two matrices that exist only as functions of their indexes (operands.cuh), on tensor cores.
//
// D (m x n) is summed over k in steps of 32. Panels of both operands go from global to shared memory by asynchronous
// copies, two steps ahead of the products. A thread may change what it copied once it has arrived, before the barrier
// that shows it to the others: batch normalization costs no barrier and no registers while copies fly.
//
// A warp owns 32 x 32 (or 32 x 8) numbers of the tile. Where the tile has fewer parts than the block has warps, warps
// share a part and split each step instead, whose sums are added in order at the end: four independent chains of
// products a warp whatever the tile, and few reads of shared memory.
//
// Precision "highest" is 3xTF32: x = big + small to 2^-23 |x|, and small * big, big * small, big * big are summed. The
// bounds are in tests/tolerances.py.
#pragma once
#include "common/cuda.cuh"

namespace fastconv::cuda {

constexpr int kGemmThreads = 128, kGemmWarps = kGemmThreads / kWarp;
constexpr int kStep = 32;   // of k
constexpr int kStages = 3;  // steps in shared memory
constexpr int kMmaM = 16, kMmaN = 8, kMmaK = 8;

// `kFloats` that a copy moves: 4, or 1 where channels or addresses do not allow it.
template <int kRows, int kColumns, int kFloats>
struct Tile {
  static constexpr int kM = kRows, kN = kColumns, kVector = kFloats;
  static constexpr int kWarpM = 32, kWarpN = kN < 32 ? kN : 32;
  static constexpr int kWarpsM = kM / kWarpM, kWarpsN = kN / kWarpN, kWarpsK = kGemmWarps / (kWarpsM * kWarpsN);
  static constexpr int kFragmentsM = kWarpM / kMmaM, kFragmentsN = kWarpN / kMmaN;

  static __device__ int warp_m() { return warp() % kWarpsM * kWarpM; }
  static __device__ int warp_n() { return warp() / kWarpsM % kWarpsN * kWarpN; }
  static __device__ int warp_k() { return warp() / (kWarpsM * kWarpsN); }
};

// Whether a matrix's k runs along its columns, which are what is contiguous in memory, or along its rows.
enum class Along { rows, columns };

// One operand's part of a step in shared memory: kStep numbers of k by `kSize` of the other index, as they lie in memory.
// Pitches: fragments read 8 numbers of the other index by 4 of k from 32 banks. `Matrix` (operands.cuh) has
//  - row(i), column(j): all there is to know of one, computed once. inside(row, column): false stands for a zero.
//    at(row, column): where it lies. A vector's columns are inside together.
//  - load: what is done to its numbers, from one array or from two of the same shape.
template <class Matrix, Along kAlong, int kSize, int kVector>
class Panel {
  static constexpr bool kColumns = kAlong == Along::columns;
  static constexpr int kRowsHere = kColumns ? kSize : kStep, kColumnsHere = kColumns ? kStep : kSize;
  static constexpr int kPitch = kColumns ? kStep + 4 : kSize % 16 == 8 ? kSize : kSize + 8;
  static constexpr int kAcross = kColumnsHere / kVector, kDown = kGemmThreads / kAcross, kEach = kRowsHere / kDown;
  static_assert(kPitch % 4 == 0 && kEach * kDown == kRowsHere && kEach * (kStages - 1) <= 32);

 public:
  static constexpr int kFloats = kRowsHere * kPitch;  // of one array

  static __device__ int index(int of, int k) { return kColumns ? of * kPitch + k : k * kPitch + of; }

  __device__ Panel(const Matrix& matrix, int first) : matrix_(matrix) {
    if constexpr (kColumns) {
#pragma unroll
      for (int e = 0; e < kEach; ++e) rows_[e] = matrix_.row(first + my_row(e));
    } else {
      column_ = matrix_.column(first + my_column());
      if constexpr (Matrix::Load::kArrays > 0)
        if (matrix_.load.given()) load_channels(column_.channel);
    }
  }

  // Starts the copies of the step at k. `ahead`: how many steps come before it that are still to arrive.
  __device__ void fill(Shared<float> to, int k, int ahead) {
    if constexpr (kColumns) column_ = matrix_.column(k + my_column());
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const auto row = [&] {
        if constexpr (kColumns)
          return rows_[e];
        else
          return matrix_.row(k + my_row(e));
      }();
      const bool inside = matrix_.inside(row, column_);
      const int64_t at = matrix_.at(row, column_);
      copy(to, place(e), matrix_.data, at, inside);
      if constexpr (Matrix::Load::kArrays == 2)
        if (matrix_.load.given()) copy(to, kFloats + place(e), matrix_.load.second, at, inside);
      inside_ |= uint32_t(inside) << (ahead * kEach + e);
    }
  }

  // Loads what `transform` needs of the channels of the step at k.
  __device__ void prepare(int k) {
    if constexpr (kColumns && Matrix::Load::kArrays > 0)
      if (matrix_.load.given()) load_channels(matrix_.column(k + my_column()).channel);
  }

  // Makes what is wanted of the next step's numbers, which have arrived in this thread; zeros stay zeros.
  __device__ void transform(Shared<float> tile) {
    if constexpr (Matrix::Load::kArrays > 0)
      if (matrix_.load.given()) make(tile);
    inside_ >>= kEach;
  }

 private:
  static __device__ int my_row(int e) { return thread() / kAcross + e * kDown; }
  static __device__ int my_column() { return thread() % kAcross * kVector; }
  static __device__ int place(int e) { return my_row(e) * kPitch + my_column(); }

  static __device__ void copy(Shared<float> to, int i, Global<const float> from, int64_t j, bool inside) {
    if constexpr (kVector == 4)
      cp_async4(to, i, from, j, inside);
    else
      cp_async1(to, i, from, j, inside);
  }

  __device__ void load_channels(int channel) {
#pragma unroll
    for (int v = 0; v < kVector; ++v) channels_[v] = matrix_.load.channel(channel + v);
  }

  __device__ void make(Shared<float> tile) {
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const bool inside = inside_ >> e & 1;
      if constexpr (kVector == 4) {
        Float4 x = tile.load4(place(e)), other = {};
        if constexpr (Matrix::Load::kArrays == 2) other = tile.load4(kFloats + place(e));
#pragma unroll
        for (int v = 0; v < kVector; ++v) x.v[v] = inside ? channels_[v].make(x.v[v], other.v[v]) : 0.0f;
        tile.store4(place(e), x);
      } else {
        const float x = tile.load(place(e));
        float other = 0.0f;
        if constexpr (Matrix::Load::kArrays == 2) other = tile.load(kFloats + place(e));
        tile.store(place(e), inside ? channels_[0].make(x, other) : 0.0f);
      }
    }
  }

  const Matrix& matrix_;
  typename Matrix::Row rows_[kColumns ? kEach : 1];
  typename Matrix::Column column_;
  typename Matrix::Load::Channel channels_[kVector];
  uint32_t inside_ = 0;  // a bit for each copy of the steps to arrive
};

// `kCount` numbers of a fragment. Tensor cores ignore the lower 13 bits of a number: big is rounded without clearing them,
// small is truncated. A NaN of all ones is lost in big, not in small.
template <int kCount>
struct Fragment {
  static constexpr uint32_t kIgnored = (1u << 13) - 1, kHalf = 1u << 12;

  uint32_t big[kCount], small[kCount];

  template <bool kHighest>
  __device__ void set(int i, float x) {
    if constexpr (kHighest) {
      big[i] = as_bits(x) + kHalf;
      small[i] = as_bits(x - as_float(big[i] & ~kIgnored));
    } else {
      big[i] = tf32(x);
    }
  }
};

// What a warp has of D, as mma_tf32 lays it out, and of the sums of B over k, for column lane / 4 of each fragment, a quarter
// in each of its four lanes.
template <class T>
struct Sums {
  float d[T::kFragmentsM][T::kFragmentsN][4] = {};
  float b[T::kFragmentsN] = {};
};

template <class T, bool kHighest, class PanelA, class PanelB>
__device__ void multiply(Shared<float> a, Shared<float> b, Sums<T>& sums) {
  const int group = lane() / 4, member = lane() % 4;
#pragma unroll
  for (int step = 0; step < kStep / kMmaK / T::kWarpsK; ++step) {
    const int k = (step * T::kWarpsK + T::warp_k()) * kMmaK + member;
    Fragment<4> of_a[T::kFragmentsM];
    Fragment<2> of_b[T::kFragmentsN];
#pragma unroll
    for (int i = 0; i < T::kFragmentsM; ++i)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        of_a[i].template set<kHighest>(
            e, a.load(PanelA::index(T::warp_m() + i * kMmaM + group + e % 2 * 8, k + e / 2 * 4)));
#pragma unroll
    for (int j = 0; j < T::kFragmentsN; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const float x = b.load(PanelB::index(T::warp_n() + j * kMmaN + group, k + e * 4));
        of_b[j].template set<kHighest>(e, x);
        sums.b[j] += x;
      }
    // All fragments once before any comes again: a product waits for the sum that it adds to.
    if constexpr (kHighest) {
#pragma unroll
      for (int i = 0; i < T::kFragmentsM; ++i)
#pragma unroll
        for (int j = 0; j < T::kFragmentsN; ++j) mma_tf32(sums.d[i][j], of_a[i].small, of_b[j].big);
#pragma unroll
      for (int i = 0; i < T::kFragmentsM; ++i)
#pragma unroll
        for (int j = 0; j < T::kFragmentsN; ++j) mma_tf32(sums.d[i][j], of_a[i].big, of_b[j].small);
    }
#pragma unroll
    for (int i = 0; i < T::kFragmentsM; ++i)
#pragma unroll
      for (int j = 0; j < T::kFragmentsN; ++j) mma_tf32(sums.d[i][j], of_a[i].big, of_b[j].big);
  }
}

// A product's two panels and their stages. first_m, first_n: of the tile.
template <class T, bool kHighest, Along kAlongA, Along kAlongB, class A, class B>
class Gemm {
  using PanelA = Panel<A, kAlongA, T::kM, T::kVector>;
  using PanelB = Panel<B, kAlongB, T::kN, T::kVector>;

 public:
  // k from step first to step end.
  static __device__ Sums<T> run(const A& a, const B& b, int first_m, int first_n, int first, int end) {
    const int floats_a = PanelA::kFloats * a.load.arrays(), floats = floats_a + PanelB::kFloats * b.load.arrays();
    const Shared<float> stages = shared<float>(0, kStages * floats);
    PanelA panel_a(a, first_m);
    PanelB panel_b(b, first_n);
    Sums<T> sums;
    const auto fill = [&](int step, int ahead) {
      if (step < end) {
        const int stage = (step - first) % kStages * floats;
        panel_a.fill(stages.from(stage, floats_a), step * kStep, ahead);
        panel_b.fill(stages.from(stage + floats_a, floats - floats_a), step * kStep, ahead);
      }
      cp_async_commit();
    };
#pragma unroll
    for (int s = 0; s < kStages - 1; ++s) fill(first + s, s);
    for (int step = first; step < end; ++step) {
      const int stage = (step - first) % kStages * floats;
      const Shared<float> tile_a = stages.from(stage, floats_a);
      const Shared<float> tile_b = stages.from(stage + floats_a, floats - floats_a);
      panel_a.prepare(step * kStep);
      panel_b.prepare(step * kStep);
      cp_async_wait<kStages - 2>();
      panel_a.transform(tile_a);
      panel_b.transform(tile_b);
      sync();  // all copies of this step have arrived, and all threads have left the stage that is filled next
      fill(step + kStages - 1, kStages - 2);
      multiply<T, kHighest, PanelA, PanelB>(tile_a, tile_b, sums);
    }
    return sums;
  }

  // Of shared memory, for operands made of so many arrays; D needs less (epilogue.cuh).
  static int shared_bytes(int arrays_a, int arrays_b) {
    return kStages * (PanelA::kFloats * arrays_a + PanelB::kFloats * arrays_b) * int(sizeof(float));
  }
};

}  // namespace fastconv::cuda
