// Kernels for tests of the emulator, tests/emulator; each does one thing that the emulator promises to notice, count or
// compute. They are part of fastconv._emulator alone.
#pragma once
#include <cstdint>
#include <string>

#include "common/cuda_types.h"

namespace fastconv::emulator {

struct SelfTest {
  cuda::Grid grid;
  int threads = 0, shared_bytes = 0;
  const float* x = nullptr;
  float* y = nullptr;
  int64_t x_count = 0, y_count = 0;
  int how = 0, n = 0;  // what these choose is said at each kernel
};

void run_self_test(const std::string& kernel, const SelfTest& test);

}  // namespace fastconv::emulator
