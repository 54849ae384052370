// Parameter updates on flat buffers of `count` floats, in place on w and the slots; one pass over memory.
//   adam: alpha = learning_rate * sqrt(1 - beta_2^step) / (1 - beta_1^step), in double;
//         m += (dw - m) * (1 - beta_1),  v += (dw^2 - v) * (1 - beta_2),  w -= alpha * m / (sqrt(v) + epsilon)
//         (Keras' "epsilon hat": Kingma & Ba 2015, end of the first part of section 2). step is 1 on the first update.
//         4 reads, 3 writes.
//   sgd:  change = -learning_rate * dw;  with a velocity: velocity = momentum * velocity + change, and change becomes
//         the velocity, or momentum * velocity + change with nesterov;  w += change. velocity may be null: then 2 reads
//         and 1 write, else 3 and 2.
// No array may overlap another. NaN and infinities pass through.
#pragma once
#include <cstdint>

#include "common/isa.h"

namespace fastconv {

// Throw std::invalid_argument if step < 1 or a beta is not in [0, 1).
void adam_update(float* w, const float* dw, float* m, float* v, int64_t count, float learning_rate, int64_t step,
                 double beta_1, double beta_2, double epsilon);
void sgd_update(float* w, const float* dw, float* velocity, int64_t count, float learning_rate, float momentum,
                bool nesterov);

struct AdamStep {
  float alpha, one_minus_beta_1, one_minus_beta_2, epsilon;
};

#define FASTCONV_DECLARE_OPTIMIZER(isa)                                                                      \
  namespace isa {                                                                                            \
  void adam_update_range(float* w, const float* dw, float* m, float* v, const AdamStep& step, int64_t begin, \
                         int64_t end) noexcept;                                                              \
  void sgd_update_range(float* w, const float* dw, float* velocity, float learning_rate, float momentum,     \
                        bool nesterov, int64_t begin, int64_t end) noexcept;                                 \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_OPTIMIZER)
#undef FASTCONV_DECLARE_OPTIMIZER

namespace cuda {  // optimizer.cu: the same on a stream
// learning_rate and step are on the device, read when the kernel runs. A step below 1 makes the weights NaN.
void adam_update(float* w, const float* dw, float* m, float* v, int64_t count, const float* learning_rate,
                 const int64_t* step, double beta_1, double beta_2, double epsilon, void* stream);
void sgd_update(float* w, const float* dw, float* velocity, int64_t count, const float* learning_rate, float momentum,
                bool nesterov, void* stream);
}  // namespace cuda

}  // namespace fastconv
