#include "emulator/shared_memory.h"

namespace fastconv::emulator {
namespace {

bool same_warp(int a, int b) { return a / cuda::kWarp == b / cuda::kWarp; }

bool ordered(const Moment& before, const Moment& now) {
  return before.thread < 0 || before.thread == now.thread || before.block_barriers < now.block_barriers ||
         (same_warp(before.thread, now.thread) && before.warp_barriers < now.warp_barriers);
}

}  // namespace

void SharedMemory::begin(int bytes) {
  data_.assign(bytes, char(0xFF));  // as floats: NaN
  words_.assign((bytes + kWordBytes - 1) / kWordBytes, Word{});
}

int SharedMemory::read(int offset, int bytes, const Moment& now) {
  for (int i = offset / kWordBytes; i <= (offset + bytes - 1) / kWordBytes; ++i) {
    Word& word = words_[i];
    if (!ordered(word.write, now)) return word.write.thread;
    if (word.read.thread >= 0 && !same_warp(word.read.thread, now.thread)) word.read_elsewhere = word.read;
    word.read = now;
  }
  return -1;
}

int SharedMemory::write(int offset, int bytes, const Moment& now) {
  for (int i = offset / kWordBytes; i <= (offset + bytes - 1) / kWordBytes; ++i) {
    Word& word = words_[i];
    for (const Moment* before : {&word.write, &word.read, &word.read_elsewhere})
      if (!ordered(*before, now)) return before->thread;
    word = {now, {}, {}};
  }
  return -1;
}

}  // namespace fastconv::emulator
