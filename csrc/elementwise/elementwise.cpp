#include "elementwise/elementwise.h"

#include <algorithm>
#include <atomic>

#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr int64_t kChunk = 16 * 1024;      // elements: 64 KiB of each array
constexpr int64_t kScanChunk = 64 * 1024;  // nothing is written, so fewer starts

}  // namespace

void add_forward(const float* a, const float* b, float* y, int64_t count) {
  const auto kernel = FASTCONV_PICK(add_forward_range);
  parallel_for((count + kChunk - 1) / kChunk, num_threads(),
               [&](int64_t item, int) { kernel(a, b, y, item * kChunk, std::min((item + 1) * kChunk, count)); });
}

int64_t first_non_finite(const float* x, int64_t count) {
  const auto kernel = FASTCONV_PICK(first_non_finite_range);
  std::atomic<int64_t> first{count};  // the smallest index wins, whichever thread finds it when
  parallel_for((count + kScanChunk - 1) / kScanChunk, num_threads(), [&](int64_t item, int) {
    const int64_t begin = item * kScanChunk, end = std::min(begin + kScanChunk, count);
    if (begin >= first.load(std::memory_order_relaxed)) return;
    const int64_t found = kernel(x, begin, end);
    if (found == end) return;
    int64_t known = first.load(std::memory_order_relaxed);
    while (found < known && !first.compare_exchange_weak(known, found, std::memory_order_relaxed)) {
    }
  });
  return first < count ? first.load() : -1;
}

}  // namespace fastconv
