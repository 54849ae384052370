#include "binary/binary.h"

#include <algorithm>

#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr int64_t kChunk = 16 * 1024;  // elements: 64 KiB of each array

}  // namespace

void binary_forward(const float* a, const float* b, float* y, Binary function, const Extents& extents) {
  const auto kernel = FASTCONV_PICK(binary_forward_range);
  const int64_t count = extents.count();
  parallel_for((count + kChunk - 1) / kChunk, num_threads(), [&](int64_t item, int) {
    kernel(a, b, y, function, extents, item * kChunk, std::min((item + 1) * kChunk, count));
  });
}

void binary_backward(const float* dy, const float* a, const float* b, float* da, float* db, Binary function,
                     const Extents& extents) {
  const auto kernel = FASTCONV_PICK(binary_backward_range);
  const int64_t count = extents.count();
  parallel_for((count + kChunk - 1) / kChunk, num_threads(), [&](int64_t item, int) {
    kernel(dy, a, b, da, db, function, extents, item * kChunk, std::min((item + 1) * kChunk, count));
  });
}

}  // namespace fastconv
