// Threads. The only header that knows how work reaches them; kernels never start any.
// Work is cut into items by shape, never by thread count, so results have the same bits for any number of threads.
#pragma once
#include <cstdint>
#include <type_traits>

namespace fastconv {

int num_threads() noexcept;         // threads a parallel_for may use: set_num_threads, else the default
void set_num_threads(int threads);  // 0: the default, which is OMP_NUM_THREADS or the cores this process may use

using ParallelBody = void (*)(void* context, int64_t item, int thread);
void parallel_for(int64_t items, int max_threads, ParallelBody body, void* context) noexcept;

// Calls body(item, thread) for every item in [0, items), thread in [0, max_threads); body must not throw.
// Denormals are flushed to zero inside, on every thread, and the caller's setting is restored after.
template <typename Body>
void parallel_for(int64_t items, int max_threads, Body&& body) noexcept {
  using Function = std::remove_reference_t<Body>;
  parallel_for(
      items, max_threads,
      [](void* context, int64_t item, int thread) { (*static_cast<Function*>(context))(item, thread); }, &body);
}

// Calls body(begin, end) for ranges of [0, rows): each of as many rows of `floats` numbers as make 64 KiB, or of one.
template <typename Body>
void parallel_for_rows(int64_t rows, int64_t floats, Body&& body) noexcept {
  constexpr int64_t kChunk = 16 * 1024;
  const int64_t count = floats < kChunk ? kChunk / floats : 1;
  parallel_for((rows + count - 1) / count, num_threads(), [&](int64_t item, int) {
    const int64_t begin = item * count, end = begin + count;
    body(begin, end < rows ? end : rows);
  });
}

}  // namespace fastconv
