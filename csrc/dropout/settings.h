// What dropout's rate and stream mean to a kernel, on the CPU as on the GPU.
#pragma once
#include <cmath>

#include "common/errors.h"
#include "dropout/dropout.h"

namespace fastconv {

// All but seed and step. Throws std::invalid_argument as dropout_forward.
inline DropoutSettings dropout_settings(double rate, int64_t stream) {
  if (!(rate >= 0.0 && rate <= 1.0)) fail("dropout", "0 <= rate <= 1", "rate=" + std::to_string(rate));
  require(stream >= 0 && stream <= int64_t(UINT32_MAX), "dropout", "0 <= stream < 2^32", stream);
  DropoutSettings settings = {};
  settings.stream = uint32_t(stream);
  settings.last_dropped = float(std::ceil(double(float(rate)) * 0x1p24) - 1.0);  // u * 2^-24 >= rate, for whole u
  settings.scale = rate < 1.0 ? float(1.0 / (1.0 - rate)) : 0.0f;
  return settings;
}

}  // namespace fastconv
