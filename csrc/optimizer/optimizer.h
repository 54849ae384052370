// Parameter updates on flat buffers of `count` floats, in place on w and the slots; one pass over memory.
//   adam: alpha = learning_rate * sqrt(1 - beta_2^step) / (1 - beta_1^step), in double;
//         m += (dw - m) * (1 - beta_1),  v += (dw^2 - v) * (1 - beta_2),  w -= alpha * m / (sqrt(v) + epsilon)
//         (Keras' "epsilon hat": Kingma & Ba 2015, end of the first part of section 2). step is 1 on the first update.
//         With v_hat: v_hat = max(v_hat, v) takes the place of v in w. 4 reads, 3 writes; with v_hat one more of each.
//   sgd:  change = -learning_rate * dw;  with a velocity: velocity = momentum * velocity + change, and change becomes
//         the velocity, or momentum * velocity + change with nesterov;  w += change. velocity may be null: then 2 reads
//         and 1 write, else 3 and 2.
//   rmsprop: velocity = rho * velocity + (1 - rho) * dw^2,  change = learning_rate * dw / sqrt(velocity + epsilon);
//         with an average: average = rho * average + (1 - rho) * dw, and velocity - average^2 takes the place of
//         velocity in change; with a momentum_buffer: that = momentum * that + change, and is the change. w -= change.
//         3 reads, 2 writes; one more of each for each of the two, which may be null.
//   decay_weights: w -= w * learning_rate * rate on ranges of w (ranges.h). 1 read, 1 write.
//   ema_update: average = momentum * average + (1 - momentum) * w, but w on the first step. On every step that is a
//         multiple of overwrite_every, unless that is 0, w = average then. 2 reads, 1 write or 2.
// No array may overlap another. NaN and infinities pass through.
#pragma once
#include <cstdint>

#include "common/isa.h"

namespace fastconv {

struct Ranges;

// Throw std::invalid_argument if step < 1 or a beta is not in [0, 1).
void adam_update(float* w, const float* dw, float* m, float* v, float* v_hat, int64_t count, float learning_rate,
                 int64_t step, double beta_1, double beta_2, double epsilon);
void sgd_update(float* w, const float* dw, float* velocity, int64_t count, float learning_rate, float momentum,
                bool nesterov);
void rmsprop_update(float* w, const float* dw, float* velocity, float* average, float* momentum_buffer, int64_t count,
                    float learning_rate, double rho, double momentum, double epsilon);
void decay_weights(float* w, const Ranges& ranges, float learning_rate, double rate);
void ema_update(float* average, float* w, int64_t count, int64_t step, double momentum, int64_t overwrite_every);

struct AdamStep {
  float alpha, one_minus_beta_1, one_minus_beta_2, epsilon;
};

struct RmspropStep {
  float learning_rate, rho, one_minus_rho, momentum, epsilon;
};

#define FASTCONV_DECLARE_OPTIMIZER(isa)                                                                         \
  namespace isa {                                                                                               \
  void adam_update_range(float* w, const float* dw, float* m, float* v, float* v_hat, const AdamStep& step,     \
                         int64_t begin, int64_t end) noexcept;                                                  \
  void sgd_update_range(float* w, const float* dw, float* velocity, float learning_rate, float momentum,        \
                        bool nesterov, int64_t begin, int64_t end) noexcept;                                    \
  void rmsprop_update_range(float* w, const float* dw, float* velocity, float* average, float* momentum_buffer, \
                            const RmspropStep& step, int64_t begin, int64_t end) noexcept;                      \
  void decay_weights_range(float* w, float share, int64_t begin, int64_t end) noexcept;                         \
  void ema_update_range(float* average, float* w, float momentum, bool overwrite, int64_t begin,                \
                        int64_t end) noexcept;                                                                  \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_OPTIMIZER)
#undef FASTCONV_DECLARE_OPTIMIZER

namespace cuda {  // optimizer.cu: the same on a stream
// learning_rate and step are on the device, read when the kernel runs, and so are the pairs of ranges of decay_weights.
// A step below 1 makes the weights NaN in Adam.
void adam_update(float* w, const float* dw, float* m, float* v, float* v_hat, int64_t count, const float* learning_rate,
                 const int64_t* step, double beta_1, double beta_2, double epsilon, void* stream);
void sgd_update(float* w, const float* dw, float* velocity, int64_t count, const float* learning_rate, float momentum,
                bool nesterov, void* stream);
void rmsprop_update(float* w, const float* dw, float* velocity, float* average, float* momentum_buffer, int64_t count,
                    const float* learning_rate, double rho, double momentum, double epsilon, void* stream);
void decay_weights(float* w, int64_t size, const int64_t* bounds, int64_t ranges, const float* learning_rate,
                   double rate, void* stream);
void ema_update(float* average, float* w, int64_t count, const int64_t* step, double momentum, int64_t overwrite_every,
                void* stream);
}  // namespace cuda

}  // namespace fastconv
