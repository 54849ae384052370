#include "common/parallel.h"

#include <atomic>
#include <stdexcept>
#include <string>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define FASTCONV_HAS_FORK 1
#endif

namespace fastconv {
namespace {

std::atomic<int> requested_threads{0};
std::atomic<bool> in_forked_child{false};

#ifdef FASTCONV_HAS_FORK
// libgomp's threads do not exist in a forked child and its next parallel region hangs (GCC PR60035, faiss#5206):
// such a child runs serially.
const int watch_fork = pthread_atfork(nullptr, nullptr, [] { in_forked_child = true; });
#endif

// Flush-to-zero and denormals-are-zero for the current thread, restored at the end of the scope. A denormal operand
// costs about 100 cycles, which makes convolutions up to 50 times slower (pytorch#21734).
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() noexcept : saved_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(saved_ | 0x8040u); }
  ~FlushDenormals() { __builtin_ia32_ldmxcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FlushDenormals() noexcept {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"(saved_ | (uint64_t(1) << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

 private:
  uint64_t saved_;
#else
  FlushDenormals() noexcept {}
  ~FlushDenormals() {}
#endif
};

}  // namespace

bool built_with_openmp() noexcept {
#ifdef _OPENMP
  return true;
#else
  return false;
#endif
}

int num_threads() noexcept {
#ifdef _OPENMP
  if (in_forked_child || omp_in_parallel()) return 1;
  const int requested = requested_threads;
  return requested > 0 ? requested : omp_get_max_threads();
#else
  return 1;
#endif
}

void set_num_threads(int threads) {
  if (threads < 0 || threads > 1024)
    throw std::invalid_argument("set_num_threads: expected 0 (automatic) to 1024. Received: " + std::to_string(threads));
  requested_threads = threads;
}

void parallel_for(int64_t items, int max_threads, ParallelBody body, void* context) noexcept {
#ifdef _OPENMP
  const int available = num_threads();
  int threads = available < max_threads ? available : max_threads;
  if (items < threads) threads = int(items);
  if (threads > 1) {
#pragma omp parallel num_threads(threads)
    {
      const FlushDenormals scope;
      const int thread = omp_get_thread_num();
#pragma omp for schedule(dynamic, 1)
      for (int64_t item = 0; item < items; ++item) body(context, item, thread);
    }
    return;
  }
#endif
  const FlushDenormals scope;
  for (int64_t item = 0; item < items; ++item) body(context, item, 0);
}

}  // namespace fastconv
