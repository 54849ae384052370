// Rows of pooled images. Built once per instruction set. Vectors lie along the channels.
#include "common/simd_channels.h"
#include "common/windows.h"
#include "pool2d/pool2d.h"

namespace fastconv::FASTCONV_ISA {
namespace {

using Taps = Span<int64_t>;

template <bool kIndex>
void max_rows(const Conv2DGeometry& g, const float* x, float* y, float* index, int64_t begin, int64_t end) noexcept {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t p = row % g.p;
    const float* image = x + row / g.p * g.h * g.w * g.c;
    const Taps rows = taps_inside(p, g.stride_h, g.pad_top, g.r, g.h);
    for (int64_t q = 0; q < g.q; ++q) {
      const Taps columns = taps_inside(q, g.stride_w, g.pad_left, g.s, g.w);
      const int64_t first = ((p * g.stride_h - g.pad_top) * g.w + q * g.stride_w - g.pad_left) * g.c;
      const int64_t to = (row * g.q + q) * g.c;
      for_each_vector(g.c, [&](int64_t c, auto lanes) {
        f32v best = lanes.load(image + (first + (rows.begin * g.w + columns.begin) * g.c + c));
        f32v best_tap = broadcast(float(rows.begin * g.s + columns.begin));
        for (int64_t r = rows.begin; r < rows.end; ++r) {
          for (int64_t s = columns.begin; s < columns.end; ++s) {
            const f32v value = lanes.load(image + (first + (r * g.w + s) * g.c + c));
            if (kIndex) best_tap = where_above(value, best, broadcast(float(r * g.s + s)), best_tap);
            best = where_above(value, best, value, best);
          }
        }
        lanes.store(y + to + c, best);
        if (kIndex) lanes.store(index + to + c, best_tap);
      });
    }
  }
}

// Rows of dx: for each pixel term(sum, lanes, place, window_of(h, w, p, q)) over the windows (p, q) that hold it, where
// place is that of the window's output in dy.
template <typename WindowOf, typename Term>
inline void gather_rows(const Conv2DGeometry& g, float* dx, int64_t begin, int64_t end, WindowOf&& window_of,
                        Term&& term) noexcept {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t image = row / g.h, h = row % g.h;
    const Taps down = windows_of(h, g.stride_h, g.pad_top, g.r, g.p);
    for (int64_t w = 0; w < g.w; ++w) {
      const Taps across = windows_of(w, g.stride_w, g.pad_left, g.s, g.q);
      for_each_vector(g.c, [&](int64_t c, auto lanes) {
        f32v sum = zero();
        for (int64_t p = down.begin; p < down.end; ++p)
          for (int64_t q = across.begin; q < across.end; ++q)
            sum = term(sum, lanes, ((image * g.p + p) * g.q + q) * g.c + c, window_of(h, w, p, q));
        lanes.store(dx + (row * g.w + w) * g.c + c, sum);
      });
    }
  }
}

inline int64_t size_of(Taps taps) noexcept { return taps.end - taps.begin; }

}  // namespace

void maxpool2d_forward_rows(const Conv2DGeometry& g, const float* x, float* y, float* index, int64_t begin,
                            int64_t end) noexcept {
  if (index)
    max_rows<true>(g, x, y, index, begin, end);
  else
    max_rows<false>(g, x, y, index, begin, end);
}

void maxpool2d_backward_rows(const Conv2DGeometry& g, const float* dy, const float* index, float* dx, int64_t begin,
                             int64_t end) noexcept {
  const auto tap_of = [&](int64_t h, int64_t w, int64_t p, int64_t q) {
    return float((h + g.pad_top - p * g.stride_h) * g.s + w + g.pad_left - q * g.stride_w);
  };
  gather_rows(g, dx, begin, end, tap_of, [&](f32v sum, auto lanes, int64_t at, float tap) {
    return add(sum, where_equal(lanes.load(index + at), broadcast(tap), lanes.load(dy + at), zero()));
  });
}

// Rows of a window are summed by themselves: sums of many pixels lose less.
void avgpool2d_forward_rows(const Conv2DGeometry& g, const float* x, float* y, bool mean, int64_t begin,
                            int64_t end) noexcept {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t p = row % g.p;
    const float* image = x + row / g.p * g.h * g.w * g.c;
    const Taps rows = taps_inside(p, g.stride_h, g.pad_top, g.r, g.h);
    for (int64_t q = 0; q < g.q; ++q) {
      const Taps columns = taps_inside(q, g.stride_w, g.pad_left, g.s, g.w);
      const int64_t first = ((p * g.stride_h - g.pad_top) * g.w + q * g.stride_w - g.pad_left) * g.c;
      const f32v count = broadcast(mean ? float(size_of(rows) * size_of(columns)) : 1.0f);
      for_each_vector(g.c, [&](int64_t c, auto lanes) {
        f32v sum = zero();
        for (int64_t r = rows.begin; r < rows.end; ++r) {
          f32v row_sum = zero();
          for (int64_t s = columns.begin; s < columns.end; ++s)
            row_sum = add(row_sum, lanes.load(image + (first + (r * g.w + s) * g.c + c)));
          sum = add(sum, row_sum);
        }
        lanes.store(y + (row * g.q + q) * g.c + c, div(sum, count));
      });
    }
  }
}

void avgpool2d_backward_rows(const Conv2DGeometry& g, const float* dy, float* dx, bool mean, int64_t begin,
                             int64_t end) noexcept {
  const auto share_of = [&](int64_t, int64_t, int64_t p, int64_t q) {
    if (!mean) return 1.0f;
    return 1.0f / float(size_of(taps_inside(p, g.stride_h, g.pad_top, g.r, g.h)) *
                        size_of(taps_inside(q, g.stride_w, g.pad_left, g.s, g.w)));
  };
  gather_rows(g, dx, begin, end, share_of, [&](f32v sum, auto lanes, int64_t at, float share) {
    return fma(lanes.load(dy + at), broadcast(share), sum);
  });
}

}  // namespace fastconv::FASTCONV_ISA
