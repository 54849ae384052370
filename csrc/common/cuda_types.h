// What device code, its launches and the emulator have in common.
#pragma once
#include <cstdint>
#include <string>

#include "common/errors.h"

namespace fastconv::cuda {

constexpr int kWarp = 32;

struct alignas(8) Float2 {
  float v[2];
};

struct alignas(16) Float4 {
  float v[4];
};

struct Grid {
  int64_t x = 1, y = 1, z = 1;  // blocks
};

// What no device of the architectures in cuda.cmake takes, and blocks of whole warps.
inline void check_launch(const char* name, const Grid& grid, int threads, int shared_bytes) {
  constexpr int kMostThreads = 1024, kMostSharedBytes = 227 * 1024;
  if (grid.x < 1 || grid.x > INT32_MAX || grid.y < 1 || grid.y > UINT16_MAX || grid.z < 1 || grid.z > UINT16_MAX)
    fail(name, "a grid of 1 to 2147483647 x 65535 x 65535 blocks",
         std::to_string(grid.x) + " x " + std::to_string(grid.y) + " x " + std::to_string(grid.z));
  require(threads >= 1 && threads <= kMostThreads && threads % kWarp == 0, name,
          "blocks of a multiple of 32 threads, up to 1024", threads);
  require(shared_bytes >= 0 && shared_bytes <= kMostSharedBytes, name, "0 to 232448 bytes of shared memory",
          shared_bytes);
}

}  // namespace fastconv::cuda
