// The linear maps of Winograd's F(4x4, 3x3) on vectors of channels, and the tiles of an image. Built once per
// instruction set; included by winograd_*_simd.cpp only.
//
//   y = A' [(G w G') * (B' x B)] A,  x 6x6, w 3x3, y 4x4; for the points 0, +-a, +-b and infinity
//
//   B' = a2b2    0 -a2-b2     0  1  0    A' = 1  1   1  1   1  0    G = 1/a2b2   0    0
//           0 -ab2    -b2     a  1  0         0  a  -a  b  -b  0         s      sa  sa2     s = 1 / 2a2(a2-b2)
//           0  ab2    -b2    -a  1  0         0 a2  a2 b2  b2  0         s     -sa  sa2
//           0 -ba2    -a2     b  1  0         0 a3 -a3 b3 -b3  1         t      tb  tb2     t = 1 / 2b2(b2-a2)
//           0  ba2    -a2    -b  1  0                                    t     -tb  tb2
//           0 a2b2      0 -a2-b2 0  1                                    0       0    1
//
// With a = 5/8 and b = 3/2 every entry of A and B is a short binary fraction, and the error is 2 times that of the
// direct sum where the usual 1 and 2 lose a factor of 4.5 (root mean square, 32 channels; of 18 pairs tried; the
// importance of the points: Barabasz et al. 2018, arXiv:1803.10986).
#pragma once
#include "common/simd.h"
#include "conv2d/winograd.h"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr float kA = 0.625f, kB = 1.5f;
constexpr float kA2 = kA * kA, kB2 = kB * kB, kA2B2 = kA2 * kB2;
constexpr float kS = 1 / (2 * kA2 * (kA2 - kB2)), kT = 1 / (2 * kB2 * (kB2 - kA2));

struct Six {
  f32v v[6];
};
struct Four {
  f32v v[4];
};

// B' x. Sums of even and odd powers are shared by a point and its negative.
inline Six transform_x(const Six& x) noexcept {
  const f32v minus_a2 = broadcast(-kA2), minus_b2 = broadcast(-kB2), minus_sum = broadcast(-kA2 - kB2);
  const f32v even_a = fma(minus_b2, x.v[2], x.v[4]), even_b = fma(minus_a2, x.v[2], x.v[4]);
  const f32v odd_a = fma(broadcast(-kA * kB2), x.v[1], mul(broadcast(kA), x.v[3]));
  const f32v odd_b = fma(broadcast(-kB * kA2), x.v[1], mul(broadcast(kB), x.v[3]));
  return {{fma(broadcast(kA2B2), x.v[0], fma(minus_sum, x.v[2], x.v[4])), add(even_a, odd_a), sub(even_a, odd_a),
           add(even_b, odd_b), sub(even_b, odd_b), fma(broadcast(kA2B2), x.v[1], fma(minus_sum, x.v[3], x.v[5]))}};
}

// A' m
inline Four transform_m(const Six& m) noexcept {
  const f32v even_a = add(m.v[1], m.v[2]), odd_a = mul(broadcast(kA), sub(m.v[1], m.v[2]));
  const f32v even_b = add(m.v[3], m.v[4]), odd_b = mul(broadcast(kB), sub(m.v[3], m.v[4]));
  return {{add(m.v[0], add(even_a, even_b)), add(odd_a, odd_b),
           fma(broadcast(kB2), even_b, mul(broadcast(kA2), even_a)),
           fma(broadcast(kB2), odd_b, fma(broadcast(kA2), odd_a, m.v[5]))}};
}

// G w
inline Six transform_w(f32v w0, f32v w1, f32v w2) noexcept {
  const f32v even_a = fma(broadcast(kS * kA2), w2, mul(broadcast(kS), w0)), odd_a = mul(broadcast(kS * kA), w1);
  const f32v even_b = fma(broadcast(kT * kB2), w2, mul(broadcast(kT), w0)), odd_b = mul(broadcast(kT * kB), w1);
  return {{mul(broadcast(1 / kA2B2), w0), add(even_a, odd_a), sub(even_a, odd_a), add(even_b, odd_b),
           sub(even_b, odd_b), w2}};
}

// A dy, of the filter's gradient: the transpose of A' m
inline Six transform_dy(const Four& y) noexcept {
  const f32v a2 = broadcast(kA2), b2 = broadcast(kB2);
  const f32v even_a = fma(a2, y.v[2], y.v[0]), even_b = fma(b2, y.v[2], y.v[0]);
  const f32v odd_a = fma(broadcast(kA * kA2), y.v[3], mul(broadcast(kA), y.v[1]));
  const f32v odd_b = fma(broadcast(kB * kB2), y.v[3], mul(broadcast(kB), y.v[1]));
  return {{y.v[0], add(even_a, odd_a), sub(even_a, odd_a), add(even_b, odd_b), sub(even_b, odd_b), y.v[3]}};
}

// G' m: the transpose of G w
inline void transform_dw(const Six& m, f32v* dw) noexcept {
  const f32v even_a = mul(broadcast(kS), add(m.v[1], m.v[2])), odd_a = sub(m.v[1], m.v[2]);
  const f32v even_b = mul(broadcast(kT), add(m.v[3], m.v[4])), odd_b = sub(m.v[3], m.v[4]);
  dw[0] = fma(broadcast(1 / kA2B2), m.v[0], add(even_a, even_b));
  dw[1] = fma(broadcast(kS * kA), odd_a, mul(broadcast(kT * kB), odd_b));
  dw[2] = fma(broadcast(kA2), even_a, fma(broadcast(kB2), even_b, m.v[5]));
}

// The matrix products run over panels of output channels: two vectors, or one where that is all that is left.
constexpr int64_t kPanel = 2 * kLanes;
inline int64_t panel_width(int64_t left) noexcept { return left > kLanes ? kPanel : kLanes; }
// Floats between the weights of two points: a row more than they need, or all 36 share a few sets of the cache.
inline int64_t panel_point(int64_t c, int64_t width) noexcept { return (c + 1) * width; }
inline int64_t panel_offset(int64_t c, int64_t k) noexcept { return 36 * (c + 1) * k; }

inline f32v load_some(const float* p, int64_t n) noexcept { return n >= kLanes ? load(p) : load_partial(p, int(n)); }
inline void store_some(float* p, f32v v, int64_t n) noexcept {
  n >= kLanes ? store(p, v) : store_partial(p, v, int(n));
}

// V = B' x B for kLanes channels of one tile, of which the image has `channels` left; v_point floats between points.
inline void transform_input(const float* x, int64_t row, int64_t pixel, int64_t channels, float* v,
                            int64_t v_point) noexcept {
  Six columns[6];
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) {
    Six in;
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) in.v[i] = load_some(x + i * row + j * pixel, channels);
    columns[j] = transform_x(in);
  }
#pragma GCC unroll 6
  for (int i = 0; i < 6; ++i) {
    Six in;
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) in.v[j] = columns[j].v[i];
    const Six out = transform_x(in);
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) store(v + (i * 6 + j) * v_point, out.v[j]);
  }
}

// Where tile number `tile` lies: tiles are counted along rows, down columns, then over images.
struct TilePlace {
  int64_t image, row, column;  // of the tile's first output
};
inline TilePlace place_of(const WinogradShape& s, int64_t tile) noexcept {
  const int64_t down = (s.p + 3) / 4, across = (s.q + 3) / 4;
  return {tile / (down * across), tile / across % down * 4, tile % across * 4};
}

// transform_input for all channels of the tiles [first, first + count); v_pitch floats between tiles.
inline void transform_inputs(const WinogradShape& s, const WinogradInput& x, int64_t first, int64_t count, float* v,
                             int64_t v_point, int64_t v_pitch) noexcept {
  for (int64_t i = 0; i < count; ++i) {
    const TilePlace at = place_of(s, first + i);
    const float* from = x.data + at.image * x.image + at.row * x.row + at.column * s.c;
    for (int64_t c = 0; c < s.c; c += kLanes)
      transform_input(from + c, x.row, s.c, s.c - c, v + i * v_pitch + c, v_point);
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
