// The shared memory of a block, with what hardware does not tell: it starts as NaN, and of every word it is known who read
// and wrote it last, so that an access that no barrier separates from another thread's write (or a write from another's
// read) is an error, whatever order the threads happen to run in.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

#include "common/cuda_types.h"

namespace fastconv::emulator {

// When an access happened: after how many barriers of the block, and of the warp.
struct Moment {
  int thread = -1;
  int block_barriers = 0, warp_barriers = 0;
};

class SharedMemory {
 public:
  void begin(int bytes);
  int bytes() const { return int(data_.size()); }

  // The other thread whose access of [offset, offset + bytes) nothing orders before this one, or -1.
  int read(int offset, int bytes, const Moment& now);
  int write(int offset, int bytes, const Moment& now);

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
  static constexpr int kWordBytes = 4;
  // Several threads may have read a word since its last write: the latest, and one of another warp before it.
  struct Word {
    Moment write, read, read_elsewhere;
  };

  std::vector<char> data_;
  std::vector<Word> words_;
};

}  // namespace fastconv::emulator
