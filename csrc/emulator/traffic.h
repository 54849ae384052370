// How well the accesses of a warp fit the hardware, where counting is on: the lanes' accesses from one line of a kernel,
// the n-th of each since the last barrier, are taken as one instruction.
//  - shared memory: wavefronts, one for every further word that a bank must give (32 banks of 4 bytes; accesses of 8 or
//    16 bytes go in halves or quarters of the warp), against those of a conflict-free access.
//  - global memory: sectors of 32 bytes, against those that the bytes would fill.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace fastconv::emulator {

// Of a word in a kernel's source.
struct Place {
  const char* file = "";
  int line = 0;

  bool operator==(const Place& other) const { return line == other.line && file == other.file; }
  std::string text() const { return file + (":" + std::to_string(line)); }
};

struct Counts {
  int64_t wavefronts = 0, ideal_wavefronts = 0, sectors = 0, ideal_sectors = 0, mma = 0, launches = 0, blocks = 0;
};

class Traffic {
 public:
  bool on = false;
  std::map<std::string, Counts> kernels;

  void shared(int thread, Place place, int64_t address, int bytes) {
    if (on) add(thread, place, address, bytes, true);
  }
  void global(int thread, Place place, int64_t address, int bytes) {
    if (on) add(thread, place, address, bytes, false);
  }
  void flush(Counts& counts);  // at every barrier of the block, and at its end
  void clear();

 private:
  struct Access {
    int lane;
    int64_t address;
    int bytes;
  };
  using Line = std::tuple<bool, const char*, int>;  // whether shared; file, line

  void add(int thread, Place place, int64_t address, int bytes, bool shared);

  std::map<std::pair<Line, int>, int> times_;                               // (line, thread): n
  std::map<std::tuple<Line, int, int>, std::vector<Access>> instructions_;  // (line, warp, n)
};

}  // namespace fastconv::emulator
