#include "optimizer/optimizer.h"

#include <algorithm>
#include <cmath>

#include "common/errors.h"
#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr int64_t kChunk = 16 * 1024;  // elements: 64 KiB of each array

void check_beta(double beta, const char* name) {
  if (!(beta >= 0.0 && beta < 1.0))
    fail("adam_update", std::string("0 <= ") + name + " < 1", name + ("=" + std::to_string(beta)));
}

}  // namespace

void adam_update(float* w, const float* dw, float* m, float* v, int64_t count, float learning_rate, int64_t step,
                 double beta_1, double beta_2, double epsilon) {
  require(step >= 1, "adam_update", "step >= 1", step);
  check_beta(beta_1, "beta_1");
  check_beta(beta_2, "beta_2");
  const double t = double(step);
  const double alpha = double(learning_rate) * std::sqrt(1.0 - std::pow(beta_2, t)) / (1.0 - std::pow(beta_1, t));
  const AdamStep constants = {float(alpha), float(1.0 - beta_1), float(1.0 - beta_2), float(epsilon)};
  const auto kernel = FASTCONV_PICK(adam_update_range);
  parallel_for((count + kChunk - 1) / kChunk, num_threads(), [&](int64_t item, int) {
    kernel(w, dw, m, v, constants, item * kChunk, std::min((item + 1) * kChunk, count));
  });
}

void sgd_update(float* w, const float* dw, float* velocity, int64_t count, float learning_rate, float momentum,
                bool nesterov) {
  const auto kernel = FASTCONV_PICK(sgd_update_range);
  parallel_for((count + kChunk - 1) / kChunk, num_threads(), [&](int64_t item, int) {
    kernel(w, dw, velocity, learning_rate, momentum, nesterov, item * kChunk, std::min((item + 1) * kChunk, count));
  });
}

}  // namespace fastconv
