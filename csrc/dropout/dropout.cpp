#include "dropout/dropout.h"

#include <algorithm>

#include "common/parallel.h"
#include "dropout/settings.h"

namespace fastconv {
namespace {

constexpr int64_t kChunk = 16 * 1024;  // elements: 64 KiB in, 64 KiB out

}  // namespace

void dropout_forward(const float* x, int64_t seed, int64_t step, float* y, double rate, int64_t stream, int64_t count) {
  DropoutSettings settings = dropout_settings(rate, stream);
  settings.seed = uint64_t(seed);
  settings.step = uint32_t(uint64_t(step));
  const auto kernel = FASTCONV_PICK(dropout_forward_range);
  parallel_for((count + kChunk - 1) / kChunk, num_threads(),
               [&](int64_t item, int) { kernel(x, y, settings, item * kChunk, std::min((item + 1) * kChunk, count)); });
}

}  // namespace fastconv
