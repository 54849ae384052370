#include "probe/probe.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <string>

#include "common/errors.h"
#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr float kFactor = 0.5f;
constexpr int64_t kRounds = 8 * 1024;          // some 20 us on a core
constexpr int64_t kItemsPerThread = 128;       // a late last item costs less than 1% of a sample
constexpr int64_t kFloats = int64_t(1) << 26;  // 256 MiB read, 256 MiB written
constexpr int64_t kChunk = int64_t(1) << 18;   // divides kFloats; a multiple of every vector

// The best of what `work` got done in a second, in units of 10^9, over `seconds` of repeating it.
template <typename Work>
double best_rate(const char* name, double seconds, Work&& work) {
  using Clock = std::chrono::steady_clock;
  if (!(seconds > 0 && std::isfinite(seconds)))
    fail(name, "a finite number of seconds above 0", std::to_string(seconds));
  double best = 0;
  const auto begin = Clock::now();
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  do {
    const auto start = Clock::now();
    const double amount = double(work());
    best = std::max(best, amount / since(start));
  } while (since(begin) < seconds);
  return best / 1e9;
}

}  // namespace

double measure_fma_peak(double seconds) {
  const auto kernel = FASTCONV_PICK(probe_fma);
  const int threads = num_threads();
  return best_rate("measure_fma_peak", seconds, [&] {
    std::atomic<int64_t> operations{0};
    parallel_for(threads * kItemsPerThread, threads, [&](int64_t, int) {
      float sum;
      operations.fetch_add(kernel(kRounds, kFactor, &sum), std::memory_order_relaxed);
    });
    return operations.load();
  });
}

double measure_bandwidth(double seconds) {
  const auto kernel = FASTCONV_PICK(probe_scale);
  const std::unique_ptr<float[]> x(new float[kFloats]), y(new float[kFloats]);
  const auto for_each_chunk = [&](auto&& body) {
    parallel_for(kFloats / kChunk, num_threads(), [&](int64_t item, int) { body(item * kChunk, (item + 1) * kChunk); });
  };
  for_each_chunk([&](int64_t begin, int64_t end) {  // every page is there before the first sample
    std::fill(&x[begin], &x[end], 1.0f);
    std::fill(&y[begin], &y[end], 1.0f);
  });
  return best_rate("measure_bandwidth", seconds, [&] {
    for_each_chunk([&](int64_t begin, int64_t end) { kernel(x.get(), y.get(), kFactor, begin, end); });
    return kFloats * int64_t(2 * sizeof(float));
  });
}

}  // namespace fastconv
