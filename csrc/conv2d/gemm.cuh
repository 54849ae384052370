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
// bounds are in tests/tolerances.py. Of activations in bfloat16 products are bfloat16's (bfloat16.cuh).
#pragma once
#include <type_traits>

#include "common/cuda.cuh"

namespace fastconv::cuda {

constexpr int kGemmThreads = 128, kGemmWarps = kGemmThreads / kWarp;
constexpr int kStep = 32;   // of k
constexpr int kStages = 3;  // steps in shared memory
constexpr int kMmaM = 16, kMmaN = 8;

// Of activations that memory has as `Number_`: float or BFloat16. `kNumbers` that a copy moves: 4, or 1 where channels or
// addresses do not allow it.
template <int kRows, int kColumns, int kNumbers, class Number_ = float>
struct Tile {
  using Number = Number_;
  static constexpr bool kBFloat16 = std::is_same_v<Number, BFloat16>;
  static constexpr int kM = kRows, kN = kColumns, kVector = kNumbers, kMmaK = kBFloat16 ? 16 : 8;
  // Two warps at most share a step of bfloat16, which has two products' k.
  static constexpr int kWarpM = kBFloat16 && kM == 32 ? 16 : 32, kWarpN = kN < 32 ? kN : 32;
  static constexpr int kWarpsM = kM / kWarpM, kWarpsN = kN / kWarpN, kWarpsK = kGemmWarps / (kWarpsM * kWarpsN);
  static constexpr int kFragmentsM = kWarpM / kMmaM, kFragmentsN = kWarpN / kMmaN;

  static __device__ int warp_m() { return warp() % kWarpsM * kWarpM; }
  static __device__ int warp_n() { return warp() / kWarpsM % kWarpsN * kWarpN; }
  static __device__ int warp_k() { return warp() / (kWarpsM * kWarpsN); }
};

// Whether a matrix's k runs along its columns, which are what is contiguous in memory, or along its rows.
enum class Along { rows, columns };

// One operand's part of a step in shared memory: kStep numbers of k by `kSize` of the other index, as they lie in memory.
// Pitches: fragments read 8 numbers of the other index by 4 of k from 32 banks, those of bfloat16 by 4 pairs of k, or 8
// rows of 16 bytes. `Matrix` (operands.cuh) has
//  - Number: what memory has. It has the same here but where numbers are copied one by one: asynchronous copies have 4
//    bytes at least, and numbers of two become floats.
//  - row(i), column(j): all there is to know of one, computed once. inside(row, column): false stands for a zero.
//    at(row, column): where it lies. A vector's columns are inside together.
//  - load: what is done to its numbers, from one array or from two of the same shape.
template <class Matrix, Along kAlong, int kSize, class T>
class Panel {
  static constexpr int kVector = T::kVector;

 public:
  static constexpr bool kColumns = kAlong == Along::columns;
  using Source = typename Matrix::Number;
  using Number = std::conditional_t<kVector == 4, Source, float>;

 private:
  static constexpr bool kPairs = T::kBFloat16 && std::is_same_v<Number, float>;
  static constexpr int kRowsHere = kColumns ? kSize : kStep, kColumnsHere = kColumns ? kStep : kSize;
  static constexpr int kPitch = kColumns          ? kStep + (T::kBFloat16 ? 8 : 4)
                                : kPairs          ? kSize + 4
                                : kSize % 16 == 8 ? kSize
                                                  : kSize + 8;
  static constexpr int kAcross = kColumnsHere / kVector, kDown = kGemmThreads / kAcross, kEach = kRowsHere / kDown;
  static_assert(kPitch % 4 == 0 && kEach * kDown == kRowsHere && kEach * (kStages - 1) <= 32);

 public:
  static constexpr int kNumbers = kRowsHere * kPitch;  // of one array

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

  // Starts the copies of the step at k.
  __device__ void fill(Shared<Number> to, int k) {
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
        if (matrix_.load.given()) copy(to, kNumbers + place(e), matrix_.load.second, at, inside);
      inside_ |= uint32_t(inside) << ((kStages - 2) * kEach + e);
    }
  }

  // Loads what `transform` needs of the channels of the step at k.
  __device__ void prepare(int k) {
    if constexpr (kColumns && Matrix::Load::kArrays > 0)
      if (matrix_.load.given()) load_channels(matrix_.column(k + my_column()).channel);
  }

  // Makes what is wanted of the next step's numbers, which have arrived in this thread; zeros stay zeros.
  __device__ void transform(Shared<Number> tile) {
    if constexpr (Matrix::Load::kArrays > 0)
      if (matrix_.load.given()) make(tile);
  }

  // After each step, and after each that was filled before the first.
  __device__ void advance() { inside_ >>= kEach; }

 private:
  static __device__ int my_row(int e) {
    int row = thread() / kAcross;
    // Two rows of 64 bytes are written at once: those that lie 16 banks apart.
    if constexpr (sizeof(Number) == 2 && kAcross == 8) row = row / 8 * 8 + row % 2 * 4 + row / 2 % 4;
    return row + e * kDown;
  }
  static __device__ int my_column() { return thread() % kAcross * kVector; }
  static __device__ int place(int e) { return my_row(e) * kPitch + my_column(); }

  static __device__ void copy(Shared<Number> to, int i, Global<const Source> from, int64_t j, bool inside) {
    if constexpr (kVector == 4)
      cp_async4(to, i, from, j, inside);
    else if constexpr (std::is_same_v<Source, float>)
      cp_async1(to, i, from, j, inside);
    else
      to.store(i, inside ? float(from.load(j)) : 0.0f);
  }

  __device__ void load_channels(int channel) {
#pragma unroll
    for (int v = 0; v < kVector; ++v) channels_[v] = matrix_.load.channel(channel + v);
  }

  __device__ void make(Shared<Number> tile) {
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const bool inside = inside_ >> e & 1;
      if constexpr (kVector == 4) {
        Float4 x = tile.load4(place(e)), other = {};
        if constexpr (Matrix::Load::kArrays == 2) other = tile.load4(kNumbers + place(e));
#pragma unroll
        for (int v = 0; v < kVector; ++v) x.v[v] = inside ? channels_[v].make(x.v[v], other.v[v]) : 0.0f;
        tile.store4(place(e), x);
      } else {
        const float x = tile.load(place(e));
        float other = 0.0f;
        if constexpr (Matrix::Load::kArrays == 2) other = tile.load(kNumbers + place(e));
        tile.store(place(e), inside ? channels_[0].make(x, other) : 0.0f);
      }
    }
  }

  const Matrix& matrix_;
  typename Matrix::Row rows_[kColumns ? kEach : 1];
  typename Matrix::Column column_;
  typename Matrix::Load::Channel channels_[kVector] = {};
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

// d += a * b, all fragments once before any comes again: a product waits for the sum that it adds to.
template <bool kHighest, int kM, int kN>
__device__ void add_products(const Fragment<4> (&a)[kM], const Fragment<2> (&b)[kN], float (&d)[kM][kN][4]) {
  if constexpr (kHighest) {
#pragma unroll
    for (int i = 0; i < kM; ++i)
#pragma unroll
      for (int j = 0; j < kN; ++j) mma_tf32(d[i][j], a[i].small, b[j].big);
#pragma unroll
    for (int i = 0; i < kM; ++i)
#pragma unroll
      for (int j = 0; j < kN; ++j) mma_tf32(d[i][j], a[i].big, b[j].small);
  }
#pragma unroll
  for (int i = 0; i < kM; ++i)
#pragma unroll
    for (int j = 0; j < kN; ++j) mma_tf32(d[i][j], a[i].big, b[j].big);
}

// What a warp has of D, as mma_* lay it out, and of the sums of B over k, for column lane / 4 of each fragment, a quarter
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
  for (int step = 0; step < kStep / T::kMmaK / T::kWarpsK; ++step) {
    const int k = (step * T::kWarpsK + T::warp_k()) * T::kMmaK + member;
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
    add_products<kHighest>(of_a, of_b, sums.d);
  }
}

}  // namespace fastconv::cuda

#include "conv2d/bfloat16.cuh"

namespace fastconv::cuda {

// A product's two panels and their stages. first_m, first_n: of the tile.
template <class T, bool kHighest, Along kAlongA, Along kAlongB, class A, class B>
class Gemm {
  using PanelA = Panel<A, kAlongA, T::kM, T>;
  using PanelB = Panel<B, kAlongB, T::kN, T>;
  using NumberA = typename PanelA::Number;
  using NumberB = typename PanelB::Number;

 public:
  // k from step first to step end.
  static __device__ Sums<T> run(const A& a, const B& b, int first_m, int first_n, int first, int end) {
    const int numbers_a = PanelA::kNumbers * a.load.arrays(), numbers_b = PanelB::kNumbers * b.load.arrays();
    const int bytes_a = numbers_a * int(sizeof(NumberA)), bytes = bytes_a + numbers_b * int(sizeof(NumberB));
    const auto stage_a = [&](int stage) { return shared<NumberA>(stage * bytes, numbers_a); };
    const auto stage_b = [&](int stage) { return shared<NumberB>(stage * bytes + bytes_a, numbers_b); };
    PanelA panel_a(a, first_m);
    PanelB panel_b(b, first_n);
    Sums<T> sums;
    // The steps before the first only fill: code for copies, which is most of it, is there once.
#pragma unroll 1
    for (int step = first - (kStages - 1); step < end; ++step) {
      const int stage = (step - first + kStages) % kStages, next = step + kStages - 1;
      const Shared<NumberA> tile_a = stage_a(stage);
      const Shared<NumberB> tile_b = stage_b(stage);
      if (step >= first) {
        panel_a.prepare(step * kStep);
        panel_b.prepare(step * kStep);
        cp_async_wait<kStages - 2>();
        panel_a.transform(tile_a);
        panel_b.transform(tile_b);
        sync();  // all copies of this step have arrived, and all threads have left the stage that is filled next
      }
      panel_a.advance();
      panel_b.advance();
      if (next < end) {
        panel_a.fill(stage_a((next - first) % kStages), next * kStep);
        panel_b.fill(stage_b((next - first) % kStages), next * kStep);
      }
      cp_async_commit();
      if (step < first) continue;
      if constexpr (T::kBFloat16)
        multiply_bfloat16<T, PanelA, PanelB>(tile_a, tile_b, sums);
      else
        multiply<T, kHighest, PanelA, PanelB>(tile_a, tile_b, sums);
    }
    return sums;
  }

  // Of shared memory, for operands made of so many arrays.
  static int stage_bytes(int arrays_a, int arrays_b) {
    return kStages *
           (PanelA::kNumbers * arrays_a * int(sizeof(NumberA)) + PanelB::kNumbers * arrays_b * int(sizeof(NumberB)));
  }
};

}  // namespace fastconv::cuda
