#include "depthwise_conv2d/depthwise_conv2d.h"

#include <algorithm>
#include <string>

#include "common/errors.h"
#include "common/parallel.h"

namespace fastconv {
namespace {

int64_t weights_of(const Conv2DGeometry& g) { return g.r * g.s * g.k; }

// The parts of wgrad: ranges of the rows of outputs. Each costs two passes over the weights' sums, against as many
// multiplications as it has pixels.
int64_t parts_of(const Conv2DGeometry& g) {
  constexpr int64_t kLeastPixels = 256, kMost = 64;
  const int64_t most = std::min(kMost, g.n * g.p);
  return std::clamp<int64_t>(g.n * g.p * g.q / kLeastPixels, 1, most);
}

}  // namespace

void depthwise_conv2d_fprop(const Conv2DGeometry& g, const float* x, const float* w, const float* b, float* y) {
  const auto kernel = FASTCONV_PICK(depthwise_fprop_rows);
  parallel_for_rows(g.n * g.p, g.q * g.k, [&](int64_t begin, int64_t end) { kernel(g, x, w, b, y, begin, end); });
}

void depthwise_conv2d_dgrad(const Conv2DGeometry& g, const float* dy, const float* w, float* dx) {
  const auto kernel = FASTCONV_PICK(depthwise_dgrad_rows);
  parallel_for_rows(g.n * g.h, g.w * g.c, [&](int64_t begin, int64_t end) { kernel(g, dy, w, dx, begin, end); });
}

size_t depthwise_conv2d_wgrad_workspace_bytes(const Conv2DGeometry& g) {
  return sizeof(float) * size_t(parts_of(g) * weights_of(g));
}

void depthwise_conv2d_wgrad(const Conv2DGeometry& g, const float* x, const float* dy, float* dw, float* workspace,
                            size_t workspace_bytes) {
  const size_t wanted = depthwise_conv2d_wgrad_workspace_bytes(g);
  if (workspace_bytes < wanted)
    fail("depthwise_conv2d_wgrad", std::to_string(wanted) + " bytes of workspace", std::to_string(workspace_bytes));
  const auto kernel = FASTCONV_PICK(depthwise_wgrad_rows);
  const int64_t parts = parts_of(g), rows = g.n * g.p, weights = weights_of(g);
  parallel_for(parts, num_threads(), [&](int64_t part, int) {
    kernel(g, x, dy, workspace + part * weights, rows * part / parts, rows * (part + 1) / parts);
  });
  parallel_for_rows(weights, parts, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double sum = 0.0;
      for (int64_t part = 0; part < parts; ++part) sum += workspace[part * weights + i];
      dw[i] = float(sum);
    }
  });
}

}  // namespace fastconv
