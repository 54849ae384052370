#include "common/cuda.cuh"
#include "cuda_device/cuda_device.h"

namespace fastconv::cuda {

int toolkit_version() { return CUDART_VERSION; }

int driver_version() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

std::vector<Device> devices() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaErrorNoDevice) check(error, "cudaGetDeviceCount");
  std::vector<Device> found;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties");
    found.push_back({properties.name, properties.major, properties.minor, properties.multiProcessorCount,
                     int64_t(properties.totalGlobalMem)});
  }
  return found;
}

}  // namespace fastconv::cuda
