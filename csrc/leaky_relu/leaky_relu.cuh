// LeakyReLU of one number, for every kernel that applies it.
#pragma once
#include "common/cuda.cuh"

namespace fastconv::cuda {

// Slope 0 is ReLU: 0 where x is -Inf, NaN where it is NaN.
__device__ inline float leaky_relu(float x, float slope) {
  return x > 0.0f || x != x ? x : slope == 0.0f ? 0.0f : slope * x;
}

__device__ inline float leaky_relu_gradient(float dy, float x, float slope) { return x > 0.0f ? dy : slope * dy; }

}  // namespace fastconv::cuda
