// Runs kernels on the host, one block after another, every thread of a block on a stack of its own. Threads change places
// only where they wait for each other, in an order that can be chosen. What hardware leaves undefined stops the launch
// with an error that names the kernel, the threads and the line.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "emulator/fiber.h"
#include "emulator/shared_memory.h"
#include "emulator/traffic.h"

namespace fastconv::emulator {

enum class Order { forward, reverse, random };  // of the threads of a block, and of the blocks

// What the lanes of a warp do together: called once all have arrived, with their arguments in order of the lanes.
using Together = void (*)(void* const* arguments);

// A copy from global to shared memory that has not arrived.
struct AsyncCopy {
  int to, bytes;
  const void* from;  // null: zeros
};

struct Thread {
  enum State { ready, at_warp, at_block, done };

  int index = 0;
  int barriers = 0;  // met so far
  State state = ready;
  const char* word = nullptr;  // that it waits in
  Place place;
  Together together = nullptr;
  void* argument = nullptr;
  std::vector<std::vector<AsyncCopy>> copies;  // by committed group; the last is not committed yet
  Fiber fiber;
};

class Machine {
 public:
  // Throws std::runtime_error at the first error.
  void launch(const char* name, const cuda::Grid& grid, int threads, int shared_bytes,
              const std::function<void()>& kernel);

  // ---- of the running thread ----
  Thread& thread() { return *current_; }
  const cuda::Grid& grid() const { return grid_; }
  const cuda::Grid& block() const { return block_; }
  int block_threads() const { return int(threads_); }
  SharedMemory& shared() { return shared_; }
  Traffic& traffic() { return traffic_; }
  Moment now() const { return {current_->index, block_barriers_, warp_barriers_[current_->index / cuda::kWarp]}; }

  void wait_for_warp(const char* word, Place place, Together together, void* argument);
  void wait_for_block(Place place);
  void arrive(int groups_in_flight, Place place);  // of the asynchronous copies, all older ones
  void count_mma() { ++traffic_.kernels[name_].mma; }
  [[noreturn]] void stop(const std::string& what, Place place);

  // ---- settings ----
  Order order = Order::forward;
  uint64_t seed = 0;
  // The barrier of every block, counted from 0, that the kernel `mutated` runs without: shows that its lack is noticed.
  std::string mutated;
  int removed_barrier = -1;

 private:
  static void begin_thread(void* thread);
  void run_block();
  bool release_warps();
  bool release_block();
  std::vector<int64_t> shuffled(int64_t count);
  [[noreturn]] void stuck();
  std::string where(const Thread& thread) const;

  const std::function<void()>* kernel_ = nullptr;
  std::string name_, error_;
  cuda::Grid grid_, block_;
  size_t threads_ = 0;
  std::vector<Thread> pool_;
  Thread* current_ = nullptr;
  int block_barriers_ = 0;
  std::vector<int> warp_barriers_;
  SharedMemory shared_;
  Traffic traffic_;
  std::mt19937_64 random_;
};

Machine& machine();

}  // namespace fastconv::emulator
