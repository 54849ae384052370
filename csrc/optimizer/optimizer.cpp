#include "optimizer/optimizer.h"

#include <cmath>

#include "optimizer/ranges.h"
#include "optimizer/settings.h"

namespace fastconv {
namespace {

// Calls body(begin, end) for parts of [0, count).
template <typename Body>
void for_each_part(int64_t count, Body&& body) {
  const int64_t bounds[] = {0, count};
  Ranges{bounds, 1}.for_each_part([&](const Ranges::Part& p) { body(p.begin, p.end); });
}

}  // namespace

void adam_update(float* w, const float* dw, float* m, float* v, float* v_hat, int64_t count, float learning_rate,
                 int64_t step, double beta_1, double beta_2, double epsilon) {
  require(step >= 1, "adam_update", "step >= 1", step);
  AdamStep settings = adam_settings(beta_1, beta_2, epsilon);
  const double t = double(step);
  settings.alpha = float(double(learning_rate) * std::sqrt(1.0 - std::pow(beta_2, t)) / (1.0 - std::pow(beta_1, t)));
  const auto kernel = FASTCONV_PICK(adam_update_range);
  for_each_part(count, [&](int64_t begin, int64_t end) { kernel(w, dw, m, v, v_hat, settings, begin, end); });
}

void sgd_update(float* w, const float* dw, float* velocity, int64_t count, float learning_rate, float momentum,
                bool nesterov) {
  const auto kernel = FASTCONV_PICK(sgd_update_range);
  for_each_part(count, [&](int64_t begin, int64_t end) {
    kernel(w, dw, velocity, learning_rate, momentum, nesterov, begin, end);
  });
}

void rmsprop_update(float* w, const float* dw, float* velocity, float* average, float* momentum_buffer, int64_t count,
                    float learning_rate, double rho, double momentum, double epsilon) {
  const RmspropStep settings = rmsprop_settings(learning_rate, rho, momentum, epsilon);
  const auto kernel = FASTCONV_PICK(rmsprop_update_range);
  for_each_part(count, [&](int64_t begin, int64_t end) {
    kernel(w, dw, velocity, average, momentum_buffer, settings, begin, end);
  });
}

void decay_weights(float* w, const Ranges& ranges, float learning_rate, double rate) {
  const auto kernel = FASTCONV_PICK(decay_weights_range);
  const float share = float(double(learning_rate) * rate);
  ranges.for_each_part([&](const Ranges::Part& p) { kernel(w, share, p.begin, p.end); });
}

void ema_update(float* average, float* w, int64_t count, int64_t step, double momentum, int64_t overwrite_every) {
  const auto kernel = FASTCONV_PICK(ema_update_range);
  const float kept = step == 1 ? 0.0f : float(momentum);
  const bool overwrite = overwrite_every > 0 && step % overwrite_every == 0;
  for_each_part(count, [&](int64_t begin, int64_t end) { kernel(average, w, kept, overwrite, begin, end); });
}

}  // namespace fastconv
