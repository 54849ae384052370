// Winograd's F(4x4, 3x3) for 3x3 convolutions of stride 1: a tile of 4 x 4 outputs costs 36 products per pair of
// channels instead of 144 (Lavin & Gray 2015, arXiv:1509.09308). Kernels of a few images for one thread: the caller
// pads, cuts the batch and owns the memory.
//
//  - Inputs are padded images. Output (i, j) reads the pixels (i..i+2, j..j+2); whether that is "valid", "same" or
//    dgrad (with transposed weights) is the caller's padding. Tiles are read whole: an image has winograd_padded(p)
//    rows of winograd_padded(q) pixels, and what lies beyond row p + 1 and pixel q + 1 must be zero.
//  - Pixels follow each other; images and rows have their own pitches, in floats. Outputs beyond p x q are not stored.
//  - NaN and infinities spread over the 4 x 4 outputs of every tile whose 6 x 6 inputs contain one, and the steps
//    between overflow where a direct sum is within a factor of 4000 of the largest float.
//  - Each output is one sum in one order, whatever the images that are given at once.
#pragma once
#include <cstddef>
#include <cstdint>

#include "common/isa.h"

namespace fastconv {

struct WinogradShape {
  int64_t images, p, q, c, k;  // outputs p x q of k channels from c channels; of dgrad, h x w of C channels from K
};

struct WinogradInput {
  const float* data;
  int64_t image, row;  // pitches
};

struct WinogradOutput {
  float* data;
  int64_t image, row;
};

// Rows (pixels) of a padded image that has `outputs` rows (pixels) of outputs.
static inline int64_t winograd_padded(int64_t outputs) noexcept { return (outputs + 3) / 4 * 4 + 2; }

static inline int64_t winograd_tiles(const WinogradShape& s) noexcept {
  return s.images * ((s.p + 3) / 4) * ((s.q + 3) / 4);
}

static inline int64_t winograd_round16(int64_t channels) noexcept { return (channels + 15) / 16 * 16; }

// Floats of the transformed weights of c input and k output channels.
static inline int64_t winograd_weight_floats(int64_t c, int64_t k) noexcept {
  return 36 * (c + 1) * winograd_round16(k);
}

// Tiles in work at once: the transforms of their inputs and of 32 output channels stay in the second-level cache while
// the weights, or the sums of wgrad, stream through it; those make fewer than 24 tiles slow (wgrad 128>128@16x16 on Zen
// 5, 2026-11: 12 tiles 104 us, 24 tiles 97 us an image).
static inline int64_t winograd_most_tiles(const WinogradShape& s) noexcept {
  constexpr int64_t kCacheFloats = 96 * 1024, kLeast = 24, kStep = 12;  // a step is a full register tile, see tile.h
  const int64_t fit = kCacheFloats / (36 * (winograd_round16(s.c) + 32)) / kStep * kStep;
  const int64_t most = fit < kLeast ? kLeast : fit, tiles = winograd_tiles(s);
  return most < tiles ? most : tiles;
}
static inline int64_t winograd_tiles_at_once(const WinogradShape& s) noexcept {  // in passes of equal size
  const int64_t tiles = winograd_tiles(s), most = winograd_most_tiles(s), passes = (tiles + most - 1) / most;
  return (tiles + passes - 1) / passes;
}

// Images to give at once (of s.images), so that small ones fill the tiles in work together; of the shape only, so wgrad
// keeps its order of sums.
static inline int64_t winograd_images_at_once(const WinogradShape& s) noexcept {
  const int64_t fit = 24 / (((s.p + 3) / 4) * ((s.q + 3) / 4));
  return fit < 1 ? 1 : fit < s.images ? fit : s.images;
}

// Floats of scratch for winograd_fprop and winograd_wgrad_add; enough for fewer images too.
static inline int64_t winograd_scratch_floats(const WinogradShape& s) noexcept {
  return 36 * (winograd_most_tiles(s) * (winograd_round16(s.c) + 32) + 32);
}

enum class WinogradUse { fprop, wgrad };  // dgrad is an fprop with c and k exchanged

// Whether F(4x4, 3x3) beats the direct kernel by a tenth for s.images images. Time in products: a transform of one
// channel of a tile costs as much as 260, a weight's as much as 6 or, where sums over few tiles stream through it, 16.
// Zen 5, 2026-11, direct time over Winograd time with weights transformed at each call, AVX-512 / AVX2 (fprop; wgrad):
//   32 images  4>4@12 0.98/1.12; 1.17/1.54   8>8@12 1.47/1.73; 1.79/2.05    16>16@32 2.06/2.30; 2.29/2.50
//              8>8@5  0.79/0.86; 1.15/0.79   32>32@5 1.15/1.30; 1.09/1.15   32>32@7  2.20/2.83; 2.03/2.23
//              64>64@2 1.49/1.51; 0.93/0.95  64>64@4 3.28/3.31; 2.41/2.74   64>64@16 3.38/3.42; 3.05/3.71
//   1 image     64>64@4 0.61/0.68; 0.26/0.39  64>64@8 1.65/2.00; 0.72/1.21   64>64@16 2.60/2.84; 1.77/2.31
// Of 944 such measurements it chooses 596, each a gain of 1.1 or more, and misses gains of 1.5 or more in 65.
static inline bool winograd_pays(const WinogradShape& s, WinogradUse use) noexcept {
  const int64_t c = winograd_round16(s.c), k = winograd_round16(s.k);
  const int64_t tiles = winograd_tiles(s), weights = 36 * c * k * (use == WinogradUse::wgrad ? 16 : 6);
  return 10 * 9 * s.images * s.p * s.q * s.c * k > 11 * (tiles * (36 * s.c * k + 260 * (c + k)) + weights);
}

// ---- kernels, one version per instruction set (winograd_weights_simd.cpp, _fprop_simd.cpp, _wgrad_simd.cpp) ----
// winograd_weights: u from the weights of the input channels [begin, end); u depends on the instruction set.
//   w is [3][3][c][k]; for dgrad transposed is true, w is [3][3][k][c], and its taps are taken in reverse.
// winograd_fprop: y = conv(x, w) + b; b may be null.
// winograd_wgrad_add: adds to m, winograd_weight_floats(c, k) that start as zeros; m depends on the instruction set. dy
//   is padded too: whole 4 x 4 tiles are read, with zeros beyond p x q.
// winograd_wgrad_finish: dw[3][3][begin..end)[k] from the sum of `parts` such m in their order, part_floats apart.
#define FASTCONV_DECLARE_WINOGRAD(isa)                                                                                \
  namespace isa {                                                                                                     \
  void winograd_weights(const float* w, int64_t c, int64_t k, bool transposed, int64_t begin, int64_t end,            \
                        float* u) noexcept;                                                                           \
  void winograd_fprop(const WinogradShape& s, const WinogradInput& x, const float* u, const float* b,                 \
                      const WinogradOutput& y, float* scratch) noexcept;                                              \
  void winograd_wgrad_add(const WinogradShape& s, const WinogradInput& x, const WinogradInput& dy, float* m,          \
                          float* scratch) noexcept;                                                                   \
  void winograd_wgrad_finish(const float* m, int64_t parts, int64_t part_floats, int64_t c, int64_t k, int64_t begin, \
                             int64_t end, float* dw) noexcept;                                                        \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_WINOGRAD)
#undef FASTCONV_DECLARE_WINOGRAD

}  // namespace fastconv
