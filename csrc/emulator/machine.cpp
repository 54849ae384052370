#include "emulator/machine.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <stdexcept>

namespace fastconv::emulator {

Machine& machine() {
  static Machine machine;
  return machine;
}

std::string Machine::where(const Thread& thread) const {
  return "thread " + std::to_string(thread.index) +
         (thread.state == Thread::done ? " left the kernel"
                                       : std::string(" waits in ") + thread.word + " at " + thread.place.file + ":" +
                                             std::to_string(thread.place.line));
}

void Machine::stop(const std::string& what, Place place) {
  error_ = "thread " + std::to_string(current_->index) + ": " + what + " (" + place.file + ":" +
           std::to_string(place.line) + ")";
  current_->fiber.leave();
  std::abort();  // never resumed
}

void Machine::stuck() {
  const Thread* first = &pool_[0];
  for (size_t i = 0; i < threads_; ++i) {
    const Thread& other = pool_[i];
    const bool together = other.state == first->state && other.together == first->together;
    if (!together) throw std::runtime_error("divergent barrier: " + where(*first) + ", " + where(other));
  }
  throw std::runtime_error("deadlock: " + where(*first));
}

void Machine::wait_for_warp(const char* word, Place place, Together together, void* argument) {
  Thread& t = *current_;
  t.state = Thread::at_warp;
  t.word = word;
  t.place = place;
  t.together = together;
  t.argument = argument;
  t.fiber.leave();
}

void Machine::wait_for_block(Place place) {
  Thread& t = *current_;
  if (t.barriers++ == removed_barrier && name_ == mutated) return;
  t.state = Thread::at_block;
  t.word = "sync";
  t.place = place;
  t.together = nullptr;
  t.fiber.leave();
}

void Machine::arrive(int groups_in_flight, Place place) {
  auto& groups = current_->copies;
  const int finished = int(groups.size()) - 1 - groups_in_flight;
  for (int i = 0; i < finished; ++i) {
    for (const AsyncCopy& copy : groups[i]) {
      if (shared_.write(copy.to, copy.bytes, now()) >= 0)
        stop("shared memory was used while an asynchronous copy to it was on its way", place);
      for (int byte = 0; byte < copy.bytes; ++byte)
        shared_.set(copy.to + byte, copy.from ? static_cast<const char*>(copy.from)[byte] : char(0));
    }
  }
  if (finished > 0) groups.erase(groups.begin(), groups.begin() + finished);
}

void Machine::begin_thread(void* thread) {
  Thread& t = *static_cast<Thread*>(thread);
  (*machine().kernel_)();
  t.state = Thread::done;
  t.fiber.leave();
}

std::vector<int64_t> Machine::shuffled(int64_t count) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  if (this->order == Order::reverse) std::reverse(order.begin(), order.end());
  if (this->order == Order::random) std::shuffle(order.begin(), order.end(), random_);
  return order;
}

// Lanes of one warp that all wait in the same word go on; so that a warp never runs on with lanes elsewhere.
bool Machine::release_warps() {
  bool released = false;
  for (size_t first = 0; first < threads_; first += cuda::kWarp) {
    void* arguments[cuda::kWarp];
    bool together = true;
    for (int i = 0; i < cuda::kWarp; ++i) {
      const Thread& t = pool_[first + i];
      together = together && t.state == Thread::at_warp && t.together == pool_[first].together;
      arguments[i] = t.argument;
    }
    if (!together) continue;
    if (const Together function = pool_[first].together)
      function(arguments);
    else
      ++warp_barriers_[first / cuda::kWarp];  // sync_warp
    for (int i = 0; i < cuda::kWarp; ++i) pool_[first + i].state = Thread::ready;
    released = true;
  }
  return released;
}

bool Machine::release_block() {
  for (size_t i = 0; i < threads_; ++i)
    if (pool_[i].state != Thread::at_block) return false;
  for (size_t i = 0; i < threads_; ++i) pool_[i].state = Thread::ready;
  ++block_barriers_;
  traffic_.flush(traffic_.kernels[name_]);
  return true;
}

void Machine::run_block() {
  block_barriers_ = 0;
  warp_barriers_.assign(threads_ / cuda::kWarp, 0);
  for (size_t i = 0; i < threads_; ++i) {
    Thread& t = pool_[i];
    t.state = Thread::ready;
    t.barriers = 0;
    t.copies.assign(1, {});
    t.fiber.start(&Machine::begin_thread, &t);
  }
  for (bool moved = true; moved;) {
    moved = false;
    for (const int64_t i : shuffled(int64_t(threads_))) {
      Thread& t = pool_[i];
      if (t.state != Thread::ready) continue;
      current_ = &t;
      t.fiber.resume();
      if (!error_.empty()) throw std::runtime_error(error_);
      moved = true;
    }
    moved = release_warps() || release_block() || moved;
  }
  for (size_t i = 0; i < threads_; ++i)
    if (pool_[i].state != Thread::done) stuck();
  traffic_.flush(traffic_.kernels[name_]);
}

void Machine::launch(const char* name, const cuda::Grid& grid, int threads, int shared_bytes,
                     const std::function<void()>& kernel) {
  kernel_ = &kernel;
  name_ = name;
  grid_ = grid;
  threads_ = size_t(threads);
  error_.clear();
  random_.seed(seed);
  if (pool_.size() < threads_) pool_ = std::vector<Thread>(threads_);
  for (size_t i = 0; i < threads_; ++i) pool_[i].index = int(i);
  Counts& counts = traffic_.kernels[name_];
  ++counts.launches;
  for (const int64_t i : shuffled(grid.x * grid.y * grid.z)) {
    block_ = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
    ++counts.blocks;
    shared_.begin(shared_bytes);
    try {
      run_block();
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(name_ + ", block (" + std::to_string(block_.x) + ", " + std::to_string(block_.y) + ", " +
                               std::to_string(block_.z) + "): " + error.what());
    }
  }
}

}  // namespace fastconv::emulator
