#include "layout/layout.h"

#include <algorithm>

#include "common/parallel.h"

namespace fastconv {

void space_to_batch(const Dilation& d, const float* images, float* batch) {
  parallel_for_rows(d.batch_n() * d.batch_h, d.batch_w * d.c, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t at = row / d.batch_h, phase = at / d.n, image = at % d.n;
      const int64_t h = row % d.batch_h * d.dilation_h + phase / d.dilation_w - d.pad_top;
      float* to = batch + row * d.batch_w * d.c;
      for (int64_t column = 0; column < d.batch_w; ++column) {
        const int64_t w = column * d.dilation_w + phase % d.dilation_w - d.pad_left;
        if (h >= 0 && h < d.h && w >= 0 && w < d.w)
          std::copy_n(images + ((image * d.h + h) * d.w + w) * d.c, d.c, to + column * d.c);
        else
          std::fill_n(to + column * d.c, d.c, 0.0f);
      }
    }
  });
}

void batch_to_space(const Dilation& d, const float* batch, float* images) {
  parallel_for_rows(d.n * d.h, d.w * d.c, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t image = row / d.h, line = row % d.h + d.pad_top;
      const int64_t i = line % d.dilation_h, h = line / d.dilation_h;
      float* to = images + row * d.w * d.c;
      for (int64_t w = 0; w < d.w; ++w) {
        const int64_t column = w + d.pad_left, j = column % d.dilation_w, from = column / d.dilation_w;
        const int64_t in_batch = (i * d.dilation_w + j) * d.n + image;
        if (h < d.batch_h && from < d.batch_w)
          std::copy_n(batch + ((in_batch * d.batch_h + h) * d.batch_w + from) * d.c, d.c, to + w * d.c);
        else
          std::fill_n(to + w * d.c, d.c, 0.0f);
      }
    }
  });
}

void swap_axes(const float* x, float* y, int64_t a, int64_t b, int64_t c) {
  parallel_for_rows(a, b * c, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t column = 0; column < b; ++column)
        std::copy_n(x + (row * b + column) * c, c, y + (column * a + row) * c);
    }
  });
}

}  // namespace fastconv
