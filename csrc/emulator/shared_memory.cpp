#include "emulator/shared_memory.h"

#include <algorithm>

namespace fastconv::emulator {
namespace {

constexpr int kWordBytes = 4;
constexpr char kNaN = char(0xFF);  // four of them, as a float

bool same_warp(const Moment& a, const Moment& b) { return a.thread / cuda::kWarp == b.thread / cuda::kWarp; }

bool ordered(const Moment& before, const Moment& now) {
  return before.block_barriers < now.block_barriers || before.thread == now.thread ||
         (same_warp(before, now) && before.warp_barriers < now.warp_barriers);
}

Conflict under_way(int thread) { return {thread, "fills by a copy that it has not waited for"}; }
Conflict wrote(int thread) { return {thread, "wrote with no barrier between"}; }
Conflict has_read(int thread) { return {thread, "read with no barrier between"}; }

}  // namespace

void SharedMemory::begin_launch(int bytes) {
  data_.resize(size_t(bytes));
  words_.assign(size_t(bytes + kWordBytes - 1) / kWordBytes, Word{});
}

void SharedMemory::begin_block() { std::fill(data_.begin(), data_.end(), kNaN); }

Conflict SharedMemory::read(int offset, int bytes, const Moment& now) {
  for (int i = offset / kWordBytes; i <= (offset + bytes - 1) / kWordBytes; ++i) {
    Word& word = words_[i];
    if (word.on_its_way) return under_way(word.write.thread);
    if (!ordered(word.write, now)) return wrote(word.write.thread);
    if (!same_warp(word.read, now)) {
      word.read_elsewhere = word.read;
      word.read_beside = {};
    } else if (word.read.thread != now.thread) {
      word.read_beside = word.read;
    }
    word.read = now;
  }
  return {};
}

Conflict SharedMemory::write(int offset, int bytes, const Moment& now) {
  for (int i = offset / kWordBytes; i <= (offset + bytes - 1) / kWordBytes; ++i) {
    Word& word = words_[i];
    if (word.on_its_way) return under_way(word.write.thread);
    if (!ordered(word.write, now)) return wrote(word.write.thread);
    for (const Moment* read : {&word.read, &word.read_beside, &word.read_elsewhere})
      if (!ordered(*read, now)) return has_read(read->thread);
    word = {now, {}, {}, {}, false};
  }
  return {};
}

Conflict SharedMemory::depart(int offset, int bytes, const Moment& now) {
  const Conflict conflict = write(offset, bytes, now);
  for (int i = offset / kWordBytes; i <= (offset + bytes - 1) / kWordBytes; ++i) words_[i].on_its_way = true;
  std::memset(data_.data() + offset, kNaN, size_t(bytes));
  return conflict;
}

void SharedMemory::arrive(int offset, int bytes, const void* from, const Moment& now) {
  for (int i = offset / kWordBytes; i <= (offset + bytes - 1) / kWordBytes; ++i) words_[i] = {now, {}, {}, {}, false};
  if (from)
    std::memcpy(data_.data() + offset, from, size_t(bytes));
  else
    std::memset(data_.data() + offset, 0, size_t(bytes));
}

}  // namespace fastconv::emulator
