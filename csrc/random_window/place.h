// Where the pixels of a window come from, on the host and on the GPU.
#pragma once
#include "dropout/philox.h"
#include "random_window/random_window.h"

namespace fastconv {

// Rows or columns of one image: pixel i is between `start + i` and the next, `share` of the way.
struct Axis {
  bool flipped;
  int64_t start;
  float share;

  // The pixel before, in the image or in its continuation; the one after it is the next.
  FASTCONV_EVERYWHERE int64_t before(int64_t i, int64_t count) const { return start + (flipped ? count - 1 - i : i); }
};

struct Place {
  Axis rows, columns;
};

FASTCONV_EVERYWHERE Axis axis_of(bool flipped, uint32_t word, float low, float span, bool whole) {
  const double at = double(low) + double(word >> 8) * 0x1p-24 * double(span);
  int64_t start = int64_t(at);
  if (double(start) > at) --start;
  return {flipped, start, whole ? 0.0f : float(at - double(start))};
}

FASTCONV_EVERYWHERE Place place_of(const RandomWindow& window, int64_t image, uint64_t seed, uint32_t step) {
  const Words words = philox(seed, window.stream, step, uint64_t(image));
  const bool flip = (words.v[0] >> 8) <= 1u << 23;
  return {axis_of(flip && window.flip_rows, words.v[1], window.row_low, window.row_span, window.whole),
          axis_of(flip && window.flip_columns, words.v[2], window.column_low, window.column_span, window.whole)};
}

// The pixel of the image that pixel i of its continuation shows; -1 for the fill value.
FASTCONV_EVERYWHERE int64_t continued(int64_t i, int64_t size, Fill fill) {
  if (i >= 0 && i < size) return i;
  if (fill == Fill::constant) return -1;
  if (fill == Fill::nearest) return i < 0 ? 0 : size - 1;
  const int64_t period = fill == Fill::wrap ? size : 2 * size, rest = i % period, at = rest < 0 ? rest + period : rest;
  return at < size ? at : period - 1 - at;
}

// Products of floats are exact in double, so that it is one rounding, fused or not.
FASTCONV_EVERYWHERE float between(float a, float b, float share) {
  return share == 0.0f ? a : float(double(1.0f - share) * a + double(share) * b);
}

// Channel 0 of four pixels of x, or -1 for the fill value.
struct Corners {
  int64_t at[2][2];

  FASTCONV_EVERYWHERE Corners(const RandomWindow& window, const Place& place, int64_t image, int64_t i, int64_t j) {
    for (int below = 0; below < 2; ++below) {
      const int64_t row = continued(place.rows.before(i, window.p) + below, window.h, window.fill);
      for (int right = 0; right < 2; ++right) {
        const int64_t column = continued(place.columns.before(j, window.q) + right, window.w, window.fill);
        at[below][right] = row < 0 || column < 0 ? -1 : ((image * window.h + row) * window.w + column) * window.c;
      }
    }
  }
};

// Channel k of a pixel of y; load(i) is x[i].
template <typename Load>
FASTCONV_EVERYWHERE float window_value(const RandomWindow& window, const Place& place, const Corners& corners,
                                       int64_t k, Load&& load) {
  const auto value = [&](int below, int right) {
    const int64_t at = corners.at[below][right];
    return at < 0 ? window.fill_value : load(at + k);
  };
  const float rows = place.rows.share, columns = place.columns.share;
  const float above = columns == 0.0f ? value(0, 0) : between(value(0, 0), value(0, 1), columns);
  if (rows == 0.0f) return above;
  return between(above, columns == 0.0f ? value(1, 0) : between(value(1, 0), value(1, 1), columns), rows);
}

}  // namespace fastconv
