// dw of conv through F(4x4, 3x3): M += V' D per point, V = B' x B and D = A dy A' of each tile, and dw = G' M G at the
// end. Built once per instruction set.
#include "conv2d/wgrad_tile.h"
#include "conv2d/winograd_transforms.h"

namespace fastconv::FASTCONV_ISA {
namespace {

// D = A dy A' for kLanes channels of one tile, of which dy has `channels` left; d_point floats between points.
inline void transform_gradient(const float* dy, int64_t row, int64_t pixel, int64_t channels, float* d,
                               int64_t d_point) noexcept {
  Six columns[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    Four in;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) in.v[i] = load_some(dy + i * row + j * pixel, channels);
    columns[j] = transform_dy(in);
  }
#pragma GCC unroll 6
  for (int i = 0; i < 6; ++i) {
    const Six out = transform_dy({{columns[0].v[i], columns[1].v[i], columns[2].v[i], columns[3].v[i]}});
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) store(d + (i * 6 + j) * d_point, out.v[j]);
  }
}

}  // namespace

void winograd_wgrad_add(const WinogradShape& s, const WinogradInput& x, const WinogradInput& dy, float* m,
                        float* scratch) noexcept {
  const int64_t tiles = winograd_tiles(s), at_once = winograd_tiles_at_once(s);
  const int64_t v_pitch = (s.c + kLanes - 1) / kLanes * kLanes;
  const int64_t v_point = at_once * v_pitch + 16;  // a cache line more, for the reason of panel_point()
  float* d = scratch + 36 * v_point;
  for (int64_t first = 0; first < tiles; first += at_once) {
    const int64_t count = tiles - first < at_once ? tiles - first : at_once;
    transform_inputs(s, x, first, count, scratch, v_point, v_pitch);
    for (int64_t k = 0; k < s.k; k += kPanel) {
      const int64_t width = panel_width(s.k - k), d_point = at_once * width + 16;
      for (int64_t i = 0; i < count; ++i) {
        const TilePlace at = place_of(s, first + i);
        const float* from = dy.data + at.image * dy.image + at.row * dy.row + at.column * s.k + k;
        for (int64_t lane = 0; lane < width && k + lane < s.k; lane += kLanes)
          transform_gradient(from + lane, dy.row, s.k, s.k - k - lane, d + i * width + lane, d_point);
      }
      WgradBlock t = {scratch, 0, v_pitch, d, 0, width, 1, count, m + panel_offset(s.c, k), width};
      for (int point = 0; point < 36; ++point) {
        if (width == kPanel)
          wgrad_entries<2, false>(t, 0, s.c, kLanes);
        else
          wgrad_entries<1, false>(t, 0, s.c, kLanes);
        t.x += v_point;
        t.dy += d_point;
        t.dw += panel_point(s.c, width);
      }
    }
  }
}

void winograd_wgrad_finish(const float* m, int64_t parts, int64_t part_floats, int64_t c_count, int64_t k_count,
                           int64_t begin, int64_t end, float* dw) noexcept {
  for (int64_t c = begin; c < end; ++c)
    for (int64_t k = 0; k < k_count; k += kLanes) {
      const int64_t panel = k / kPanel * kPanel, width = panel_width(k_count - panel);
      const float* from = m + panel_offset(c_count, panel) + c * width + (k - panel);
      f32v columns[6][3];
      for (int j = 0; j < 6; ++j) {
        Six in;
        for (int i = 0; i < 6; ++i) {
          const float* at = from + (i * 6 + j) * panel_point(c_count, width);
          in.v[i] = load(at);
          for (int64_t part = 1; part < parts; ++part) in.v[i] = add(in.v[i], load(at + part * part_floats));
        }
        transform_dw(in, columns[j]);
      }
      for (int r = 0; r < 3; ++r) {
        f32v out[3];
        transform_dw({{columns[0][r], columns[1][r], columns[2][r], columns[3][r], columns[4][r], columns[5][r]}}, out);
        for (int col = 0; col < 3; ++col)
          store_some(dw + ((r * 3 + col) * c_count + c) * k_count + k, out[col], k_count - k);
      }
    }
}

}  // namespace fastconv::FASTCONV_ISA
