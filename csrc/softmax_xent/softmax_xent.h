// Softmax over rows of `classes` logits, and its fusion with cross-entropy. Rows are short: plain C++, built once.
//   forward   y = exp(x - max x) / sum exp(x - max x)
//   backward  dx = y * (dy - sum dy * y)
//   xent      log p = x - max x - log sum exp(x - max x), never clipped: a loss of 100 is 100
//             totals[0] = sum over rows of -sum_c y[c] * log p[c]; classes with y[c] = 0 are left out, so a logit of
//             -Inf costs nothing there
//             totals[1] = rows whose largest logit is at their label; of equal ones the first counts
//             dx = (p * sum y - y) / rows, the gradient of the mean loss; dx may be null
//   The labels y are distributions (rows * classes floats, any sum), or one class number per row.
// A row with NaN gives NaN in its outputs. Sums are double and in a fixed order. In-place ok: y may be x, dx may be dy
// or x. Passes: one read of x and the labels, one write (rows stay in the cache between their loops).
#pragma once
#include <cstdint>

namespace fastconv {

void softmax_forward(const float* x, float* y, int64_t rows, int64_t classes);
void softmax_backward(const float* dy, const float* y, float* dx, int64_t rows, int64_t classes);

void softmax_xent(const float* x, const float* labels, double* totals, float* dx, int64_t rows, int64_t classes);

// Throws std::invalid_argument, before anything is written, unless 0 <= labels[i] < classes for all i.
void softmax_xent(const float* x, const int32_t* labels, double* totals, float* dx, int64_t rows, int64_t classes);

namespace cuda {  // softmax_xent.cu: the same on a stream; totals have only one block to sum them, in a fixed order
void softmax_forward(const float* x, float* y, int64_t rows, int64_t classes, void* stream);
void softmax_backward(const float* dy, const float* y, float* dx, int64_t rows, int64_t classes, void* stream);

// Class numbers are where only the kernel sees them: one that is out of range makes the loss and its row of dx NaN.
void softmax_xent(const float* x, const float* labels, double* totals, float* dx, int64_t rows, int64_t classes,
                  void* stream);
void softmax_xent(const float* x, const int32_t* labels, double* totals, float* dx, int64_t rows, int64_t classes,
                  void* stream);
}  // namespace cuda

}  // namespace fastconv
