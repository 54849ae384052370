// Rows of depthwise convolutions. Built once per instruction set. Vectors lie along the channels of x; those of y, w and
// dy are that many again where a channel has one filter, else every m-th number.
#include "common/simd_channels.h"
#include "common/windows.h"
#include "depthwise_conv2d/depthwise_conv2d.h"

namespace fastconv::FASTCONV_ISA {
namespace {

using Taps = Span<int64_t>;
constexpr int kPixels = 4;  // that share a load of a weight, or are summed apart

struct EveryNth {
  int n;
  int64_t stride;

  f32v load(const float* p) const noexcept {
    float values[kLanes];
    for (int i = 0; i < n; ++i) values[i] = p[i * stride];
    return load_partial(values, n);
  }
  void store(float* p, f32v v) const noexcept {
    float values[kLanes];
    FASTCONV_ISA::store(values, v);
    for (int i = 0; i < n; ++i) p[i * stride] = values[i];
  }
};

// Calls body(c, lanes, filters) for the vectors of a pixel's channels: `lanes` loads them, `filters` one number of each
// channel's m.
template <typename Body>
inline void for_each_channel(const Conv2DGeometry& g, Body&& body) noexcept {
  const int64_t m = g.k / g.c;
  if (m == 1)
    for_each_vector(g.c, [&](int64_t c, auto lanes) { body(c, lanes, lanes); });
  else
    for_each_vector(g.c, [&](int64_t c, auto lanes) { body(c, lanes, EveryNth{lanes.n, m}); });
}

}  // namespace

void depthwise_fprop_rows(const Conv2DGeometry& g, const float* x, const float* w, const float* b, float* y,
                          int64_t begin, int64_t end) noexcept {
  const int64_t m = g.k / g.c;
  const Taps whole = {outputs_of<int64_t>(0, g.stride_w, g.pad_left, g.w, g.q).begin,
                      outputs_of(g.s - 1, g.stride_w, g.pad_left, g.w, g.q).end};  // windows inside the image
  for (int64_t row = begin; row < end; ++row) {
    const int64_t p = row % g.p, first = row / g.p * g.h + p * g.stride_h - g.pad_top;
    const Taps rows = taps_inside(p, g.stride_h, g.pad_top, g.r, g.h);
    for_each_channel(g, [&](int64_t c, auto lanes, auto filters) {
      const auto input = [&](int64_t q, int64_t r, int64_t s) {
        return lanes.load(x + (((first + r) * g.w + q * g.stride_w - g.pad_left + s) * g.c + c));
      };
      for (int64_t k = c * m; k < (c + 1) * m; ++k) {
        const f32v bias = b ? filters.load(b + k) : zero();
        for (int64_t q = 0; q < g.q;) {
          if (q >= whole.begin && q + kPixels <= whole.end) {
            f32v sums[kPixels] = {bias, bias, bias, bias};
            for (int64_t r = rows.begin; r < rows.end; ++r) {
              for (int64_t s = 0; s < g.s; ++s) {
                const f32v weight = filters.load(w + (r * g.s + s) * g.k + k);
                for (int i = 0; i < kPixels; ++i) sums[i] = fma(input(q + i, r, s), weight, sums[i]);
              }
            }
            for (int i = 0; i < kPixels; ++i) filters.store(y + (row * g.q + q + i) * g.k + k, sums[i]);
            q += kPixels;
          } else {
            const Taps columns = taps_inside(q, g.stride_w, g.pad_left, g.s, g.w);
            f32v sum = bias;
            for (int64_t r = rows.begin; r < rows.end; ++r)
              for (int64_t s = columns.begin; s < columns.end; ++s)
                sum = fma(input(q, r, s), filters.load(w + (r * g.s + s) * g.k + k), sum);
            filters.store(y + (row * g.q + q) * g.k + k, sum);
            ++q;
          }
        }
      }
    });
  }
}

void depthwise_dgrad_rows(const Conv2DGeometry& g, const float* dy, const float* w, float* dx, int64_t begin,
                          int64_t end) noexcept {
  const int64_t m = g.k / g.c;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t image = row / g.h, h = row % g.h;
    const Taps down = windows_of(h, g.stride_h, g.pad_top, g.r, g.p);
    for (int64_t column = 0; column < g.w; ++column) {
      const Taps across = windows_of(column, g.stride_w, g.pad_left, g.s, g.q);
      for_each_channel(g, [&](int64_t c, auto lanes, auto filters) {
        f32v sum = zero();
        for (int64_t p = down.begin; p < down.end; ++p) {
          for (int64_t q = across.begin; q < across.end; ++q) {
            const int64_t r = h + g.pad_top - p * g.stride_h, s = column + g.pad_left - q * g.stride_w;
            const float* gradient = dy + ((image * g.p + p) * g.q + q) * g.k;
            for (int64_t k = c * m; k < (c + 1) * m; ++k)
              sum = fma(filters.load(gradient + k), filters.load(w + (r * g.s + s) * g.k + k), sum);
          }
        }
        lanes.store(dx + (row * g.w + column) * g.c + c, sum);
      });
    }
  }
}

void depthwise_wgrad_rows(const Conv2DGeometry& g, const float* x, const float* dy, float* dw, int64_t begin,
                          int64_t end) noexcept {
  const int64_t m = g.k / g.c;
  for_each_channel(g, [&](int64_t c, auto lanes, auto filters) {
    for (int64_t k = c * m; k < (c + 1) * m; ++k) {
      for (int64_t r = 0; r < g.r; ++r) {
        for (int64_t s = 0; s < g.s; ++s) {
          const Taps columns = outputs_of(s, g.stride_w, g.pad_left, g.w, g.q);
          f32v sums[kPixels] = {zero(), zero(), zero(), zero()};
          for (int64_t row = begin; row < end; ++row) {
            const int64_t h = row % g.p * g.stride_h - g.pad_top + r;
            if (h < 0 || h >= g.h) continue;
            const int64_t first = (row / g.p * g.h + h) * g.w - g.pad_left + s;
            const auto product = [&](int64_t q, f32v sum) {
              return fma(lanes.load(x + ((first + q * g.stride_w) * g.c + c)),
                         filters.load(dy + (row * g.q + q) * g.k + k), sum);
            };
            int64_t q = columns.begin;
            for (; q + kPixels <= columns.end; q += kPixels)
              for (int i = 0; i < kPixels; ++i) sums[i] = product(q + i, sums[i]);
            for (; q < columns.end; ++q) sums[0] = product(q, sums[0]);
          }
          filters.store(dw + (r * g.s + s) * g.k + k, add(add(sums[0], sums[1]), add(sums[2], sums[3])));
        }
      }
    }
  });
}

}  // namespace fastconv::FASTCONV_ISA
