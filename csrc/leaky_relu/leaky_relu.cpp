#include "leaky_relu/leaky_relu.h"

#include <algorithm>

#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr int64_t kChunk = 16 * 1024;  // elements: 64 KiB in, 64 KiB out

}  // namespace

void leaky_relu_forward(const float* x, float* y, float slope, int64_t count) {
  const auto kernel = FASTCONV_PICK(leaky_relu_forward_range);
  parallel_for((count + kChunk - 1) / kChunk, num_threads(),
               [&](int64_t item, int) { kernel(x, y, slope, item * kChunk, std::min((item + 1) * kChunk, count)); });
}

void leaky_relu_backward(const float* dy, const float* x, float* dx, float slope, int64_t count) {
  const auto kernel = FASTCONV_PICK(leaky_relu_backward_range);
  parallel_for((count + kChunk - 1) / kChunk, num_threads(), [&](int64_t item, int) {
    kernel(dy, x, dx, slope, item * kChunk, std::min((item + 1) * kChunk, count));
  });
}

}  // namespace fastconv
