// Which GPUs there are, and what this module was built with: cuda_device.cu asks the driver, emulator/cuda_device.cpp says
// what the emulator is like.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace fastconv::cuda {

struct Device {
  std::string name;
  int major, minor;  // compute capability
  int multiprocessors;
  int64_t memory_bytes;
};

// Versions of CUDA as it numbers them: 1000 * major + 10 * minor.
int toolkit_version();
int driver_version();  // 0: there is no driver

// Throws std::runtime_error in the driver's words.
std::vector<Device> devices();

}  // namespace fastconv::cuda
