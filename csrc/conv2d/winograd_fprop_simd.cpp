// y = conv(x, w) + b through F(4x4, 3x3). Built once per instruction set.
//
// The inputs of some tiles are transformed; then, for each panel of output channels, 36 products of [tiles x C] and
// [C x panel] matrices run in the register tile of the direct convolution, and their sums become outputs while they
// are still in the cache.
#include "conv2d/tile.h"
#include "conv2d/winograd_transforms.h"

namespace fastconv::FASTCONV_ISA {
namespace {

struct OutputTile {
  float* y;
  int64_t row, pixel;              // pitches
  int64_t rows, pixels, channels;  // left in the image
};

// y = A' m A + b for kLanes channels.
inline void transform_output(const float* m, int64_t m_point, f32v b, const OutputTile& t) noexcept {
  Four columns[6];
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) {
    Six in;
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) in.v[i] = load(m + (i * 6 + j) * m_point);
    columns[j] = transform_m(in);
  }
  const bool whole = t.rows >= 4 && t.pixels >= 4 && t.channels >= kLanes;
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    Six in;
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) in.v[j] = columns[j].v[i];
    const Four out = transform_m(in);
    float* to = t.y + i * t.row;
    if (whole) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        __builtin_prefetch(to + (j + 4) * t.pixel, 1);
        store(to + j * t.pixel, add(out.v[j], b));
      }
    } else if (i < t.rows) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j)
        if (j < t.pixels) store_some(to + j * t.pixel, add(out.v[j], b), t.channels);
    }
  }
}

}  // namespace

void winograd_fprop(const WinogradShape& s, const WinogradInput& x, const float* u, const float* b,
                    const WinogradOutput& y, float* scratch) noexcept {
  const int64_t tiles = winograd_tiles(s), at_once = winograd_tiles_at_once(s);
  const int64_t v_pitch = (s.c + kLanes - 1) / kLanes * kLanes;
  const int64_t v_point = at_once * v_pitch + 16;  // a cache line more, for the reason of panel_point()
  float* m = scratch + 36 * v_point;
  for (int64_t first = 0; first < tiles; first += at_once) {
    const int64_t count = tiles - first < at_once ? tiles - first : at_once;
    transform_inputs(s, x, first, count, scratch, v_point, v_pitch);
    for (int64_t k = 0; k < s.k; k += kPanel) {
      const int64_t width = panel_width(s.k - k), m_point = at_once * width + 16;
      TileRow t = {scratch, 0, v_pitch, 1, s.c, u + panel_offset(s.c, k), width, nullptr, m, width};
      for (int point = 0; point < 36; ++point) {
        if (width == kPanel)
          tile_pixels<2, false>(t, count, kLanes);
        else
          tile_pixels<1, false>(t, count, kLanes);
        t.x += v_point;
        t.w += panel_point(s.c, width);
        t.y += m_point;
      }
      const int64_t end = s.k - k < width ? s.k - k : width;
      for (int64_t i = 0; i < count; ++i) {
        const TilePlace at = place_of(s, first + i);
        float* to = y.data + at.image * y.image + at.row * y.row + at.column * s.k + k;
        for (int64_t lane = 0; lane < end; lane += kLanes) {
          const f32v bias = b ? load_some(b + k + lane, end - lane) : zero();
          transform_output(m + i * width + lane, m_point, bias,
                           {to + lane, y.row, s.k, s.p - at.row, s.q - at.column, end - lane});
        }
      }
    }
  }
}

}  // namespace fastconv::FASTCONV_ISA
