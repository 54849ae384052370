#include "random_window/random_window.h"

#include <algorithm>

#include "common/parallel.h"
#include "random_window/place.h"

namespace fastconv {
namespace {

constexpr int64_t kPixels = 2048;  // of an item

}  // namespace

void random_window(const float* x, int64_t seed, int64_t step, float* y, const RandomWindow& window) {
  const int64_t rows = window.n * window.p, at_once = std::max<int64_t>(kPixels / window.q, 1);
  parallel_for((rows + at_once - 1) / at_once, num_threads(), [&](int64_t item, int) {
    for (int64_t row = item * at_once; row < std::min((item + 1) * at_once, rows); ++row) {
      const int64_t image = row / window.p, i = row % window.p;
      const Place place = place_of(window, image, uint64_t(seed), uint32_t(uint64_t(step)));
      float* to = y + row * window.q * window.c;
      for (int64_t j = 0; j < window.q; ++j) {
        const Corners corners(window, place, image, i, j);
        for (int64_t k = 0; k < window.c; ++k)
          *to++ = window_value(window, place, corners, k, [&](int64_t at) { return x[at]; });
      }
    }
  });
}

}  // namespace fastconv
