// Runs kernels on the host, one block after another, every thread of a block on a stack of its own. Threads change places
// only where they wait for each other, in an order that can be chosen. What hardware leaves undefined stops the launch
// with an error that names the kernel, the threads and the line.
#pragma once
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "emulator/fiber.h"
#include "emulator/shared_memory.h"
#include "emulator/traffic.h"

namespace fastconv::emulator {

// Of the blocks, of the warps of a block and of the lanes of a warp. A warp runs until it waits for others; in random
// order warps also take turns wherever their lanes meet.
enum class Order { forward, reverse, random };

// What the lanes of a warp do together: called once all have arrived, with their arguments in order of the lanes.
using Together = void (*)(void* const* arguments);

// A copy from global to shared memory that has not arrived.
struct AsyncCopy {
  int to, bytes;
  const void* from;  // null: zeros
  int group;
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
  std::vector<AsyncCopy> copies;
  int copy_groups = 0;  // committed so far
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
  void arrive(int groups_in_flight);  // of the asynchronous copies, all older ones
  void count_mma() { ++counts_->mma; }
  [[noreturn]] void stop(const std::string& what, Place place) const;

  // ---- settings ----
  Order order = Order::forward;
  uint64_t seed = 0;
  // The barrier of every block, counted from 0, that the kernel `mutated` runs without: shows that its lack is noticed.
  std::string mutated;
  int removed_barrier = -1;

 private:
  static void begin_thread(void* thread);
  void run_block();
  bool run_warp(Thread* lanes);
  bool release_warp(Thread* lanes);
  bool release_block();
  void arrange(std::vector<int64_t>& order, int64_t count);
  [[noreturn]] void stuck() const;
  std::string where(const Thread& thread) const;

  const std::function<void()>* kernel_ = nullptr;
  std::string name_, error_;
  cuda::Grid grid_, block_;
  size_t threads_ = 0;
  std::vector<Thread> pool_;
  std::vector<int64_t> blocks_order_, warps_order_, lanes_order_;
  Thread* current_ = nullptr;
  uint32_t block_barriers_ = 0;
  std::vector<uint32_t> warp_barriers_;
  SharedMemory shared_;
  Traffic traffic_;
  Counts* counts_ = nullptr;
  std::mt19937_64 random_;
};

extern Machine the_machine;
inline Machine& machine() { return the_machine; }

}  // namespace fastconv::emulator
