// What the optimizers' settings mean to a kernel, on the CPU as on the GPU.
#pragma once
#include <string>

#include "common/errors.h"
#include "optimizer/optimizer.h"

namespace fastconv {

inline void check_beta(double beta, const char* name) {
  if (!(beta >= 0.0 && beta < 1.0))
    fail("adam_update", std::string("0 <= ") + name + " < 1", name + ("=" + std::to_string(beta)));
}

// All but alpha. Throws std::invalid_argument as adam_update.
inline AdamStep adam_settings(double beta_1, double beta_2, double epsilon) {
  check_beta(beta_1, "beta_1");
  check_beta(beta_2, "beta_2");
  return {0.0f, float(1.0 - beta_1), float(1.0 - beta_2), float(epsilon)};
}

inline RmspropStep rmsprop_settings(float learning_rate, double rho, double momentum, double epsilon) {
  return {learning_rate, float(rho), float(1.0 - rho), float(momentum), float(epsilon)};
}

inline void check_positive(float value, const char* op, const char* name) {
  if (!(value > 0.0f)) fail(op, std::string(name) + " > 0", name + ("=" + std::to_string(value)));
}

}  // namespace fastconv
