// Losses and metrics of an output x and a target.
//   loss  of elements: the mean of function(x, t) over a sample, t = target * (1 - label_smoothing) + label_smoothing / 2;
//         functions.h has the functions, and what `parameter` means to them
//         totals[0] and dx: as settings.h has it, dx may be null
//         totals[1] = sum of the sample weights, the number of samples where there are none
//   categorical_crossentropy  of rows of probabilities p, as Keras has it; e = 1e-7, labels and y as in softmax_xent.h
//         of distributions: -sum_c y[c] log q[c], q = p / sum p within [e, 1 - e]
//         of class numbers: -log(q[label] / sum q), q = p within [e, 1 - e]; outside the derivative is 0
//         totals and dx: as softmax_xent
// Sums are double, over runs of 64 vectors float, and in a fixed order. A NaN in x makes the totals NaN, and dx at its
// element or in its row. In-place ok: dx may be x. Bound by memory but for the functions that take a log.
#pragma once
#include <cstddef>
#include <cstdint>

#include "common/isa.h"
#include "loss/settings.h"

// Name and struct in functions.h: a new loss or metric of elements is a line here and its expressions there.
#define FASTCONV_LOSSES(M)                                     \
  M(mean_squared_error, SquaredError)                          \
  M(mean_absolute_error, AbsoluteError)                        \
  M(huber, Huber)                                              \
  M(binary_crossentropy, BinaryCrossentropy)                   \
  M(binary_crossentropy_of_logits, BinaryCrossentropyOfLogits) \
  M(accuracy, Equal)                                           \
  M(binary_accuracy, Threshold)

namespace fastconv {

struct LossFunction {
  enum Kind {
#define FASTCONV_ENUMERATOR(name, function) name,
    FASTCONV_LOSSES(FASTCONV_ENUMERATOR)
#undef FASTCONV_ENUMERATOR
  } kind;
  float parameter;
};

void loss(const LossFunction& function, const float* x, const float* target, const LossSettings& settings,
          double* totals, float* dx, int64_t count);

void categorical_crossentropy(const float* x, const float* labels, const LossSettings& settings, double* totals,
                              float* dx, int64_t rows, int64_t classes);
void categorical_crossentropy(const float* x, const int32_t* labels, const LossSettings& settings, double* totals,
                              float* dx, int64_t rows, int64_t classes);

// Elements [begin, end): the sum of their values, and dx = derivative * scale if dx is not null.
#define FASTCONV_DECLARE_LOSS(isa)                                                                                   \
  namespace isa {                                                                                                    \
  double loss_range(const LossFunction& function, const float* x, const float* target, float smoothing, float scale, \
                    float* dx, int64_t begin, int64_t end) noexcept;                                                 \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_LOSS)
#undef FASTCONV_DECLARE_LOSS

namespace cuda {  // the same on a stream; class numbers out of range: softmax_xent.h
size_t loss_workspace_bytes(int64_t count);
void loss(const LossFunction& function, const float* x, const float* target, const LossSettings& settings,
          double* totals, float* dx, int64_t count, float* workspace, void* stream);
void categorical_crossentropy(const float* x, const float* labels, const LossSettings& settings, double* totals,
                              float* dx, int64_t rows, int64_t classes, void* stream);
void categorical_crossentropy(const float* x, const int32_t* labels, const LossSettings& settings, double* totals,
                              float* dx, int64_t rows, int64_t classes, void* stream);
}  // namespace cuda

}  // namespace fastconv
