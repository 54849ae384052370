// Softmax over rows of `classes` logits, and its fusion with cross-entropy. Rows are short: plain C++, built once.
//   forward   y = exp(x - max x) / sum exp(x - max x)
//   backward  dx = y * (dy - sum dy * y)
//   xent      log p = x - max x - log sum exp(x - max x), never clipped: a loss of 100 is 100
//             loss of a row = -sum_c y[c] * log p[c]; classes with y[c] = 0 are left out, so a logit of -Inf costs
//             nothing there
//             totals[0] and dx: as loss/settings.h has it, of the rows' losses; dx may be null
//             totals[1] = sum over samples of the share of their rows whose largest logit is at their label; of equal
//             ones the first counts, and weights do not
//   The labels are distributions (rows * classes floats, any sum), or one class number per row;
//   y = label * (1 - label_smoothing) + label_smoothing / classes.
// A row with NaN gives NaN in its outputs. Sums are double and in a fixed order. In-place ok: y may be x, dx may be dy
// or x. Passes: one read of x and the labels, one write (rows stay in the cache between their loops).
#pragma once
#include <cstdint>

#include "loss/settings.h"

namespace fastconv {

void softmax_forward(const float* x, float* y, int64_t rows, int64_t classes);
void softmax_backward(const float* dy, const float* y, float* dx, int64_t rows, int64_t classes);

void softmax_xent(const float* x, const float* labels, const LossSettings& settings, double* totals, float* dx,
                  int64_t rows, int64_t classes);

// Throws std::invalid_argument, before anything is written, unless 0 <= labels[i] < classes for all i.
void softmax_xent(const float* x, const int32_t* labels, const LossSettings& settings, double* totals, float* dx,
                  int64_t rows, int64_t classes);

namespace cuda {  // softmax_xent.cu: the same on a stream; totals have only one block to sum them, in a fixed order
void softmax_forward(const float* x, float* y, int64_t rows, int64_t classes, void* stream);
void softmax_backward(const float* dy, const float* y, float* dx, int64_t rows, int64_t classes, void* stream);

// Class numbers are where only the kernel sees them: one that is out of range makes the loss and its row of dx NaN.
void softmax_xent(const float* x, const float* labels, const LossSettings& settings, double* totals, float* dx,
                  int64_t rows, int64_t classes, void* stream);
void softmax_xent(const float* x, const int32_t* labels, const LossSettings& settings, double* totals, float* dx,
                  int64_t rows, int64_t classes, void* stream);
}  // namespace cuda

}  // namespace fastconv
