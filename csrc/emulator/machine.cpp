#include "emulator/machine.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "common/denormals.h"

namespace fastconv::emulator {
namespace {

// Whether two threads that do not run are where one barrier can release both.
bool agree(const Thread& a, const Thread& b) {
  return a.state == b.state && (a.state == Thread::done || (a.together == b.together && a.place == b.place));
}

}  // namespace

Machine the_machine;

std::string Machine::where(const Thread& thread) const {
  return "thread " + std::to_string(thread.index) +
         (thread.state == Thread::done ? " left the kernel"
                                       : std::string(" waits in ") + thread.word + " at " + thread.place.text());
}

void Machine::stop(const std::string& what, Place place) const {
  throw std::runtime_error("thread " + std::to_string(current_->index) + ": " + what + " (" + place.text() + ")");
}

// Lanes of one warp that disagree say more than warps that do.
void Machine::stuck() const {
  for (const size_t group : {size_t(cuda::kWarp), threads_})
    for (size_t i = 0; i < threads_; ++i)
      if (const Thread& first = pool_[i - i % group]; !agree(first, pool_[i]))
        throw std::runtime_error("divergent barrier: " + where(first) + ", " + where(pool_[i]));
  throw std::logic_error("the emulator did not release " + where(pool_[0]));
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

void Machine::arrive(int groups_in_flight) {
  auto& copies = current_->copies;
  const auto flies = [&](const AsyncCopy& copy) { return copy.group >= current_->copy_groups - groups_in_flight; };
  const auto end = std::find_if(copies.begin(), copies.end(), flies);
  for (auto copy = copies.begin(); copy != end; ++copy) shared_.arrive(copy->to, copy->bytes, copy->from, now());
  copies.erase(copies.begin(), end);
}

void Machine::begin_thread(void* thread) {
  Machine& m = machine();
  Thread& t = *static_cast<Thread*>(thread);
  try {
    (*m.kernel_)();
    m.arrive(-1);  // what is still on its way, committed or not
  } catch (const std::exception& error) {
    m.error_ = error.what();
  }
  t.state = Thread::done;
  t.fiber.leave();
}

void Machine::arrange(std::vector<int64_t>& order, int64_t count) {
  order.resize(size_t(count));
  std::iota(order.begin(), order.end(), 0);
  if (this->order == Order::reverse) std::reverse(order.begin(), order.end());
  if (this->order == Order::random) std::shuffle(order.begin(), order.end(), random_);
}

// Lanes that all wait in the same word go on; so that a warp never runs on with lanes elsewhere.
bool Machine::release_warp(Thread* lanes) {
  void* arguments[cuda::kWarp];
  for (int i = 0; i < cuda::kWarp; ++i) {
    if (lanes[i].state != Thread::at_warp || !agree(lanes[0], lanes[i])) return false;
    arguments[i] = lanes[i].argument;
  }
  if (lanes[0].together)
    lanes[0].together(arguments);
  else
    ++warp_barriers_[lanes[0].index / cuda::kWarp];  // sync_warp
  for (int i = 0; i < cuda::kWarp; ++i) lanes[i].state = Thread::ready;
  return true;
}

bool Machine::release_block() {
  for (size_t i = 0; i < threads_; ++i)
    if (pool_[i].state != Thread::at_block || !agree(pool_[0], pool_[i])) return false;
  for (size_t i = 0; i < threads_; ++i) pool_[i].state = Thread::ready;
  ++block_barriers_;
  traffic_.flush(*counts_);
  return true;
}

// To where every lane waits or has left; whether they meet there and can go on.
bool Machine::run_warp(Thread* lanes) {
  if (order == Order::random) arrange(lanes_order_, cuda::kWarp);
  for (const int64_t i : lanes_order_) {
    if (lanes[i].state != Thread::ready) continue;
    current_ = &lanes[i];
    current_->fiber.resume();
    if (!error_.empty()) throw std::runtime_error(error_);
  }
  return release_warp(lanes);
}

void Machine::run_block() {
  ++block_barriers_;
  shared_.begin_block();
  std::fill(warp_barriers_.begin(), warp_barriers_.end(), 0);
  for (size_t i = 0; i < threads_; ++i) {
    Thread& t = pool_[i];
    t.state = Thread::ready;
    t.barriers = t.copy_groups = 0;
    t.copies.clear();
    t.fiber.start(&Machine::begin_thread, &t);
  }
  do {
    for (bool moved = true; moved;) {
      moved = false;
      if (order == Order::random) arrange(warps_order_, int64_t(warp_barriers_.size()));
      for (const int64_t i : warps_order_)
        while (run_warp(&pool_[size_t(i) * cuda::kWarp])) {
          moved = true;
          if (order == Order::random) break;
        }
    }
  } while (release_block());
  for (size_t i = 0; i < threads_; ++i)
    if (pool_[i].state != Thread::done) stuck();
  traffic_.flush(*counts_);
}

void Machine::launch(const char* name, const cuda::Grid& grid, int threads, int shared_bytes,
                     const std::function<void()>& kernel) {
  const FlushDenormals scope;
  kernel_ = &kernel;
  name_ = name;
  grid_ = grid;
  threads_ = size_t(threads);
  error_.clear();
  traffic_.clear();  // what a launch that failed left
  random_.seed(seed);
  if (pool_.size() < threads_) pool_ = std::vector<Thread>(threads_);
  for (size_t i = 0; i < threads_; ++i) pool_[i].index = int(i);
  block_barriers_ = 0;
  warp_barriers_.assign(threads_ / cuda::kWarp, 0);
  arrange(blocks_order_, grid.x * grid.y * grid.z);
  arrange(warps_order_, int64_t(warp_barriers_.size()));
  arrange(lanes_order_, cuda::kWarp);
  shared_.begin_launch(shared_bytes);
  counts_ = &traffic_.kernels[name_];
  ++counts_->launches;
  for (const int64_t i : blocks_order_) {
    block_ = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
    ++counts_->blocks;
    try {
      run_block();
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(name_ + ", block (" + std::to_string(block_.x) + ", " + std::to_string(block_.y) + ", " +
                               std::to_string(block_.z) + "): " + error.what());
    }
  }
}

}  // namespace fastconv::emulator
