// LossSettings as kernels take them.
#pragma once
#include "common/cuda.cuh"
#include "loss/settings.h"

namespace fastconv::cuda {

struct SampleWeights {
  Global<const float> sample_weight;
  int64_t items;  // rows or elements of a sample
  float label_scale, label_offset;
  double weight;

  __device__ double of(int64_t item) const { return sample_weight ? double(sample_weight.load(item / items)) : 1.0; }
  __device__ float smoothed(float label) const { return label * label_scale + label_offset; }
};

// Of `count` rows or elements, with labels of as many classes.
inline SampleWeights sample_weights(const LossSettings& settings, int64_t count, int64_t classes) {
  const float s = settings.label_smoothing;
  return {global(settings.sample_weight, settings.samples), count / settings.samples, 1.0f - s, s / float(classes),
          settings.weight};
}

}  // namespace fastconv::cuda
