// The emulator as a device: what the checks before a first launch ask a driver for.
#include "cuda_device/cuda_device.h"

namespace fastconv::cuda {

int toolkit_version() { return 13000; }
int driver_version() { return 13000; }
std::vector<Device> devices() { return {{"emulator", 9, 0, 1, int64_t(1) << 30}}; }

}  // namespace fastconv::cuda
