// How a product of m x n over k is cut into blocks: by shape alone, so that neither the device nor the arrays' alignment
// has an effect on the bits.
#pragma once
#include <algorithm>
#include <type_traits>

#include "common/divisor.cuh"
#include "conv2d/conv2d.h"
#include "conv2d/gemm.cuh"

namespace fastconv::cuda {

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// What a kernel needs of a Cut.
struct Blocks {
  Divisor tiles_n;
  int steps;  // of k, in a split

  __device__ int tile_m() const { return tiles_n.quotient(int(block_x())); }
  __device__ int tile_n() const { return tiles_n.remainder(int(block_x()), tile_m()); }
  __device__ int first() const { return int(block_y()) * steps; }
  __device__ int end(int columns) const {
    const int all = (columns + kStep - 1) / kStep, mine = first() + steps;
    return mine < all ? mine : all;
  }
};

struct Cut {
  static constexpr int kTiles[4][2] = {{64, 64}, {64, 32}, {32, 32}, {32, 8}};
  static constexpr int kThin = 3, kSmall = 2;
  // Blocks that give every multiprocessor of an H100 (132) one; two a piece where only partial sums get more of them.
  static constexpr int64_t kEnough = 128, kSplit = 264;
  static constexpr int64_t kLeastSteps = 4;  // in a split; they pay for its partial sums

  int tile;
  int64_t tiles_m, tiles_n, splits, steps;

  // `count` products of this shape in one launch. Large tiles need `vectors`, channels in fours.
  Cut(int64_t m, int64_t n, int64_t k, bool vectors, bool may_split, int64_t count = 1) {
    const int64_t all = ceil_div(k, kStep), most = may_split ? std::max<int64_t>(all / kLeastSteps, 1) : 1;
    for (tile = n <= 16 ? kThin : vectors ? 0 : kSmall; tile < kSmall; ++tile) {
      const bool fills = m > kTiles[tile][0] / 2 && n > kTiles[tile][1] / 2;
      if (fills && count * ceil_div(m, kTiles[tile][0]) * ceil_div(n, kTiles[tile][1]) * most >= kEnough) break;
    }
    tiles_m = count * ceil_div(m, kTiles[tile][0]);
    tiles_n = ceil_div(n, kTiles[tile][1]);
    steps = ceil_div(all, std::min(most, std::max<int64_t>(kSplit / (tiles_m * tiles_n), 1)));
    splits = steps ? ceil_div(all, steps) : 1;
  }

  Grid grid() const { return {tiles_m * tiles_n, splits}; }
  Blocks blocks() const { return {Divisor(tiles_n), int(steps)}; }
};

// The kernels index pixels, filter entries and channels by int; arrays by int64_t.
inline void check_limits(const Conv2DGeometry& g) {
  constexpr int64_t kLimit = int64_t(1) << 30;
  const auto check = [](int64_t count, const char* what) { require(count < kLimit, "conv2d", what, count); };
  check(g.n * g.h * g.w, "fewer than 2^30 pixels of x on a GPU");
  check(g.n * g.p * g.q, "fewer than 2^30 pixels of y on a GPU");
  check(g.r * g.s * g.c, "fewer than 2^30 entries of a filter on a GPU");
  check(g.r * g.s * g.k, "fewer than 2^30 filters times taps on a GPU");
  check(std::max(g.stride_h, g.stride_w), "strides below 2^30 on a GPU");
}

// As many images, rows and taps as a dense layer (conv2d.h). Few outputs of many inputs are common there, and nothing takes
// the statistics of their sums.
inline bool is_dense(const Conv2DGeometry& g) { return g.n * g.h * g.p * g.r * g.s == 1; }

inline bool in_fours(const Conv2DGeometry& g) { return g.c % 4 == 0 && g.k % 4 == 0; }

// Whether arrays begin where four of their numbers may be copied at once.
template <class... Numbers>
bool on_vectors(const Numbers*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % (4 * sizeof(Numbers)) == 0) && ...);
}

// Calls body(Tile, whether "highest" as a std::bool_constant).
template <class Number, class Body>
void with_tile(const Cut& cut, bool vectors, Precision precision, const Body& body) {
  const auto with = [&](auto tile) {
    if constexpr (!decltype(tile)::kBFloat16)
      if (precision == Precision::highest) return body(tile, std::true_type());
    body(tile, std::false_type());
  };
  // Large tiles of numbers one by one are much code. Arrays of bfloat16 are a plan's alone, which begin on vectors.
  const auto with_large = [&](auto of_vectors, auto of_numbers) {
    if (vectors) return with(of_vectors);
    if constexpr (std::is_same_v<Number, float>)
      with(of_numbers);
    else
      fail("conv2d", "arrays of bfloat16 on 8 bytes and weights on 16", "addresses off these");
  };
  switch (cut.tile) {
    case 0: return with_large(Tile<64, 64, 4, Number>(), Tile<64, 64, 1, Number>());
    case 1: return with_large(Tile<64, 32, 4, Number>(), Tile<64, 32, 1, Number>());
    case 2: return vectors ? with(Tile<32, 32, 4, Number>()) : with(Tile<32, 32, 1, Number>());
    default: return with(Tile<32, 8, 1, Number>());
  }
}

}  // namespace fastconv::cuda
