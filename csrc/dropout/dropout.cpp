#include "dropout/dropout.h"

#include <algorithm>
#include <cmath>

#include "common/errors.h"
#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr int64_t kChunk = 16 * 1024;  // elements: 64 KiB in, 64 KiB out

}  // namespace

void dropout_forward(const float* x, int64_t seed, int64_t step, float* y, double rate, int64_t stream, int64_t count) {
  if (!(rate >= 0.0 && rate <= 1.0)) fail("dropout", "0 <= rate <= 1", "rate=" + std::to_string(rate));
  require(stream >= 0 && stream <= int64_t(UINT32_MAX), "dropout", "0 <= stream < 2^32", stream);
  DropoutSettings settings;
  settings.seed = uint64_t(seed);
  settings.step = uint32_t(uint64_t(step));
  settings.stream = uint32_t(stream);
  settings.last_dropped = float(std::ceil(double(float(rate)) * 0x1p24) - 1.0);  // u * 2^-24 >= rate, for whole u
  settings.scale = rate < 1.0 ? float(1.0 / (1.0 - rate)) : 0.0f;
  const auto kernel = FASTCONV_PICK(dropout_forward_range);
  parallel_for((count + kChunk - 1) / kChunk, num_threads(),
               [&](int64_t item, int) { kernel(x, y, settings, item * kChunk, std::min((item + 1) * kChunk, count)); });
}

}  // namespace fastconv
