#include "activation/activation.h"

#include <algorithm>

#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr int64_t kChunk = 16 * 1024;  // elements: 64 KiB in, 64 KiB out

}  // namespace

void activation_forward(const float* x, float* y, const ActivationFunction& function, int64_t count) {
  const auto kernel = FASTCONV_PICK(activation_forward_range);
  parallel_for((count + kChunk - 1) / kChunk, num_threads(),
               [&](int64_t item, int) { kernel(x, y, function, item * kChunk, std::min((item + 1) * kChunk, count)); });
}

void activation_backward(const float* dy, const float* x, float* dx, const ActivationFunction& function,
                         int64_t count) {
  const auto kernel = FASTCONV_PICK(activation_backward_range);
  parallel_for((count + kChunk - 1) / kChunk, num_threads(), [&](int64_t item, int) {
    kernel(dy, x, dx, function, item * kChunk, std::min((item + 1) * kChunk, count));
  });
}

}  // namespace fastconv
