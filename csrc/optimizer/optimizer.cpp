#include "optimizer/optimizer.h"

#include <algorithm>
#include <cmath>

#include "common/parallel.h"
#include "optimizer/settings.h"

namespace fastconv {
namespace {

constexpr int64_t kChunk = 16 * 1024;  // elements: 64 KiB of each array

}  // namespace

void adam_update(float* w, const float* dw, float* m, float* v, int64_t count, float learning_rate, int64_t step,
                 double beta_1, double beta_2, double epsilon) {
  require(step >= 1, "adam_update", "step >= 1", step);
  AdamStep settings = adam_settings(beta_1, beta_2, epsilon);
  const double t = double(step);
  settings.alpha = float(double(learning_rate) * std::sqrt(1.0 - std::pow(beta_2, t)) / (1.0 - std::pow(beta_1, t)));
  const auto kernel = FASTCONV_PICK(adam_update_range);
  parallel_for((count + kChunk - 1) / kChunk, num_threads(), [&](int64_t item, int) {
    kernel(w, dw, m, v, settings, item * kChunk, std::min((item + 1) * kChunk, count));
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
