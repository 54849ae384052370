// Batch normalization inside other kernels: its transform of one number, and the layout of the sums that they leave for
// batchnorm.cu to finish.
#pragma once
#include <cmath>

#include "batchnorm/batchnorm.h"
#include "common/cuda.cuh"
#include "leaky_relu/leaky_relu.cuh"

namespace fastconv::cuda {

// The transform of all channels; `given` is false where there is none. gamma and beta may be null.
struct Norm {
  Global<const float> mean, rstd, gamma, beta;
  float slope;
  bool given;
};

inline Norm norm(const BatchNormTransform* t, int64_t channels) {
  if (!t) return {{}, {}, {}, {}, 1.0f, false};
  return {global(t->mean, channels),
          global(t->rstd, channels),
          global(t->gamma, channels),
          global(t->beta, channels),
          t->slope,
          true};
}

// What one channel needs of it.
struct ChannelNorm {
  float mean, scale, beta, slope;

  // Forward and backward agree on the sign of z to the bit: both compute it here.
  __device__ float z(float x) const { return fmaf(x - mean, scale, beta); }
  __device__ float apply(float x) const { return leaky_relu(z(x), slope); }
  __device__ float gradient_z(float dy, float x) const { return leaky_relu_gradient(dy, z(x), slope); }
};

__device__ inline ChannelNorm channel_norm(const Norm& norm, int64_t c, float rstd) {
  const float gamma = norm.gamma ? norm.gamma.load(c) : 1.0f;
  return {norm.mean.load(c), rstd * gamma, norm.beta ? norm.beta.load(c) : 0.0f, norm.slope};
}
__device__ inline ChannelNorm channel_norm(const Norm& norm, int64_t c) {
  return channel_norm(norm, c, norm.rstd.load(c));
}

}  // namespace fastconv::cuda
