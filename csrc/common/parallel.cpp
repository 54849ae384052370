// A pool of threads that wait for jobs: spinning for a moment, since the next step of a plan comes within microseconds,
// then asleep.
//
// Why not OpenMP: its regions end when every thread has arrived, so a worker that the system has not scheduled holds up
// all others. Here the caller takes items itself and waits only for workers that have begun one; who comes late finds
// the job closed. 31 regions of 16 items of 30 us on 2 cores (EPYC Zen 5, 2026-11-23), OpenMP against this pool: idle
// 7.3 and 7.3 ms; beside one busy process the same median (15.3 ms), but means of 22.8 and 15.3 ms, 99th percentiles of
// 172 and 20 ms; beside two 26.8 and 15.3, 112 and 24 ms. It also needs no runtime library beside the wheel, and a
// forked child simply starts a pool of its own (libgomp's hangs there: GCC PR60035).
#include "common/parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "common/denormals.h"

namespace fastconv {
namespace {

constexpr int kMaxThreads = 1024;
constexpr std::chrono::microseconds kSpin{100};  // longer than the gap between two steps of a plan

inline void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until done() or the time is up; returns done().
template <typename Done>
bool spin(Done&& done) noexcept {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return done();
}

thread_local bool inside_job = false;  // a parallel_for in a parallel_for runs on the spot

class Pool {
 public:
  // The job runs on the caller and on workers 1 .. threads - 1, as far as they come in time. False: somebody else's job
  // is running.
  bool run(int64_t items, int threads, ParallelBody body, void* context) noexcept {
    if (busy_.exchange(true, std::memory_order_acquire)) return false;
    add_workers(threads - 1);
    body_ = body;
    context_ = context;
    items_ = items;
    threads_ = threads;
    next_.store(0, std::memory_order_relaxed);
    const uint64_t job = job_.load(std::memory_order_relaxed) + 1;  // odd: open
    job_.store(job, std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_seq_cst) > 0) {
      const std::lock_guard<std::mutex> lock(mutex_);
      wake_.notify_all();
    }
    take_items(0);
    job_.store(job + 1, std::memory_order_seq_cst);  // even: closed, whoever has not joined stays out
    const auto finished = [&] { return joined_.load(std::memory_order_seq_cst) == 0; };
    while (!spin(finished)) std::this_thread::yield();
    busy_.store(false, std::memory_order_release);
    return true;
  }

 private:
  void take_items(int thread) noexcept {
    inside_job = true;
    for (int64_t item; (item = next_.fetch_add(1, std::memory_order_relaxed)) < items_;) body_(context_, item, thread);
    inside_job = false;
  }

  void add_workers(int wanted) noexcept {
    try {
      for (; workers_ < wanted; ++workers_) std::thread([this, thread = workers_ + 1] { work(thread); }).detach();
    } catch (const std::system_error&) {
      // the system gives no more threads: the job runs on those there are
    }
  }

  void work(int thread) noexcept {
    const FlushDenormals for_good;
    uint64_t seen = 0;  // the last job looked at
    for (;;) {
      uint64_t job = 0;
      const auto is_new = [&] {
        job = job_.load(std::memory_order_seq_cst);
        return job % 2 == 1 && job != seen;
      };
      if (!spin(is_new)) {
        std::unique_lock<std::mutex> lock(mutex_);
        asleep_.fetch_add(1, std::memory_order_seq_cst);  // before the look that wait() takes: run() notifies after
        wake_.wait(lock, is_new);
        asleep_.fetch_sub(1, std::memory_order_seq_cst);
      }
      seen = job;
      joined_.fetch_add(1, std::memory_order_seq_cst);  // first join, then look whether the job is still open: either
      if (job_.load(std::memory_order_seq_cst) == job && thread < threads_) take_items(thread);  // we or run() notice
      joined_.fetch_sub(1, std::memory_order_seq_cst);
    }
  }

  std::atomic<bool> busy_{false};
  std::atomic<uint64_t> job_{0};
  std::atomic<int> joined_{0};  // workers that may touch what is below
  ParallelBody body_ = nullptr;
  void* context_ = nullptr;
  int64_t items_ = 0;
  int threads_ = 0;
  std::atomic<int64_t> next_{0};
  int workers_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<int> asleep_{0};
};

// Never destroyed: its threads outlive every static object, and end with the process.
std::atomic<Pool*> pool{nullptr};

Pool& current_pool() {
  Pool* existing = pool.load(std::memory_order_acquire);
  if (existing) return *existing;
  Pool* fresh = new Pool;
  if (pool.compare_exchange_strong(existing, fresh)) return *fresh;
  delete fresh;
  return *existing;
}

#if defined(__unix__) || defined(__APPLE__)
// The threads of the parent's pool do not exist in a forked child, which begins with none.
[[maybe_unused]] const int watch_fork = pthread_atfork(nullptr, nullptr, [] {
  pool.store(nullptr);
  inside_job = false;
});
#endif

// What a container's processor quota allows (Linux control groups, version 2), rounded up; kMaxThreads without one.
int quota_threads() {
  long long quota = 0, period = 0;
  bool limited = false;
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    limited = std::fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0;
    std::fclose(file);
  }
  return limited ? int(std::clamp<long long>((quota + period - 1) / period, 1, kMaxThreads)) : kMaxThreads;
}

int default_threads() {
  if (const char* value = std::getenv("OMP_NUM_THREADS")) {  // "4", or "4,2" for nested levels
    const long threads = std::strtol(value, nullptr, 10);
    if (threads > 0) return int(std::min<long>(threads, kMaxThreads));
  }
  int cores = int(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) cores = CPU_COUNT(&allowed);
#endif
  return std::clamp(std::min(cores, quota_threads()), 1, kMaxThreads);
}

std::atomic<int> requested_threads{0};

}  // namespace

int num_threads() noexcept {
  static const int automatic = default_threads();
  const int requested = requested_threads.load(std::memory_order_relaxed);
  return requested > 0 ? requested : automatic;
}

void set_num_threads(int threads) {
  if (threads < 0 || threads > kMaxThreads)
    throw std::invalid_argument("set_num_threads: expected 0 (automatic) to " + std::to_string(kMaxThreads) +
                                ". Received: " + std::to_string(threads));
  requested_threads = threads;
}

void parallel_for(int64_t items, int max_threads, ParallelBody body, void* context) noexcept {
  const FlushDenormals scope;
  const int threads = int(std::min<int64_t>({num_threads(), max_threads, items}));
  if (threads > 1 && !inside_job && current_pool().run(items, threads, body, context)) return;
  for (int64_t item = 0; item < items; ++item) body(context, item, 0);
}

}  // namespace fastconv
