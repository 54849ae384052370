#include "pool2d/pool2d.h"

#include <algorithm>

#include "common/parallel.h"

namespace fastconv {
namespace {

int64_t window_row_floats(const Conv2DGeometry& g) { return std::min(g.r, g.h) * g.w * g.c; }

}  // namespace

void maxpool2d_forward(const Conv2DGeometry& g, const float* x, float* y, float* index) {
  const auto kernel = FASTCONV_PICK(maxpool2d_forward_rows);
  parallel_for_rows(g.n * g.p, window_row_floats(g),
                    [&](int64_t begin, int64_t end) { kernel(g, x, y, index, begin, end); });
}

void maxpool2d_backward(const Conv2DGeometry& g, const float* dy, const float* index, float* dx) {
  const auto kernel = FASTCONV_PICK(maxpool2d_backward_rows);
  parallel_for_rows(g.n * g.h, g.w * g.c, [&](int64_t begin, int64_t end) { kernel(g, dy, index, dx, begin, end); });
}

void avgpool2d_forward(const Conv2DGeometry& g, const float* x, float* y, bool mean) {
  const auto kernel = FASTCONV_PICK(avgpool2d_forward_rows);
  parallel_for_rows(g.n * g.p, window_row_floats(g),
                    [&](int64_t begin, int64_t end) { kernel(g, x, y, mean, begin, end); });
}

void avgpool2d_backward(const Conv2DGeometry& g, const float* dy, float* dx, bool mean) {
  const auto kernel = FASTCONV_PICK(avgpool2d_backward_rows);
  parallel_for_rows(g.n * g.h, g.w * g.c, [&](int64_t begin, int64_t end) { kernel(g, dy, dx, mean, begin, end); });
}

}  // namespace fastconv
