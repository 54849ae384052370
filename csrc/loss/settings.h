// What the losses of a batch have in common.
//   totals[0] is the sum over samples of sample_weight * (mean over the sample's rows or elements)
//   dx is the gradient of weight * totals[0] / samples
#pragma once
#include <cstdint>

namespace fastconv {

struct LossSettings {
  int64_t samples = 0;                   // rows or elements are as many for each
  const float* sample_weight = nullptr;  // one a sample; null: 1
  float label_smoothing = 0.0f;
  double weight = 1.0;  // of the gradient

  // Of `count` rows or elements in all, the i-th: its sample's weight.
  float weight_of(int64_t i, int64_t count) const {
    return sample_weight ? sample_weight[i / (count / samples)] : 1.0f;
  }
};

}  // namespace fastconv
