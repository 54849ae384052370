// Stacks to switch between: a thread of a block runs until it waits for others, then the next one goes on. x86-64, System V.
#pragma once
#include <cstddef>
#include <memory>

namespace fastconv::emulator {

class Fiber {
 public:
  Fiber();
  // entry(argument) runs at the next resume; it may end by calling `leave` for the last time, never by returning.
  void start(void (*entry)(void*), void* argument);
  void resume();
  void leave();

 private:
  // No multiple of a page, or the tops of all stacks would meet in the same few places of the first cache.
  static constexpr size_t kStackBytes = 65 * 1024;
  std::unique_ptr<char[]> stack_;
  void *here_ = nullptr, *caller_ = nullptr;  // stack pointers of the side that does not run
};

}  // namespace fastconv::emulator
