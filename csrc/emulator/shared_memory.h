// The shared memory of a block, with what hardware does not tell: it starts as NaN, and of every word it is known who read
// and wrote it last, so that an access that no barrier separates from another thread's write (or a write from another's
// read) is an error, whatever order the threads happen to run in.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

#include "common/cuda_types.h"

namespace fastconv::emulator {

// When an access happened: after how many barriers of the launch's blocks, and of the thread's warp in this block.
struct Moment {
  int thread;
  uint32_t block_barriers;  // 0: never
  uint32_t warp_barriers;
};

// Another thread's access, or its own copy under way, that nothing orders before this access.
struct Conflict {
  int thread = 0;
  const char* access = nullptr;  // what the thread did; null: no conflict
};

class SharedMemory {
 public:
  void begin_launch(int bytes);
  void begin_block();  // its moments are later than those of the blocks before
  int bytes() const { return int(data_.size()); }

  Conflict read(int offset, int bytes, const Moment& now);
  Conflict write(int offset, int bytes, const Moment& now);
  // Between the two an asynchronous copy is under way, and nobody may touch the place; it holds NaN.
  Conflict depart(int offset, int bytes, const Moment& now);
  void arrive(int offset, int bytes, const void* from, const Moment& now);  // from null: zeros

  template <typename T>
  T get(int offset) const {
    T value;
    std::memcpy(&value, data_.data() + offset, sizeof(T));
    return value;
  }
  template <typename T>
  void set(int offset, const T& value) {
    std::memcpy(data_.data() + offset, &value, sizeof(T));
  }

 private:
  // Many threads may have read a word since its last write. Three are enough to know whether one of them conflicts with a
  // write: the latest; before it the latest other lane of its warp; and the latest of another warp.
  struct Word {
    Moment write, read, read_beside, read_elsewhere;
    bool on_its_way;
  };

  std::vector<char> data_;
  std::vector<Word> words_;
};

}  // namespace fastconv::emulator
