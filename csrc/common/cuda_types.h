// What device code, its launches and the emulator have in common.
#pragma once
#include <cstdint>

namespace fastconv::cuda {

constexpr int kWarp = 32;

struct alignas(16) Float4 {
  float v[4];
};

struct Grid {
  int64_t x = 1, y = 1, z = 1;  // blocks
};

}  // namespace fastconv::cuda
