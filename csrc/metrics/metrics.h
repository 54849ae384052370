// Metrics that are sums over samples, of an output x and its labels; weights as in loss/settings.h, null: 1.
//   categorical_accuracy  of rows of classes, labels as in softmax_xent.h, k >= 0
//         totals[0] = sum over samples of sample_weight * the share of their rows whose label is found: where k = 0 the
//         first of the largest is at the label, else fewer than k numbers of the row are larger than the one there, and
//         all are finite (tf.math.in_top_k)
//         totals[1] = sum of the sample weights
//   confusion  of elements; target: not 0 where it is of the class, thresholds in ascending order
//         totals[i] = sum of the weights of the elements of the class that exactly i of the thresholds are below
//         totals[thresholds + 1 + i] = the same of the others
//         A NaN makes that of its last i NaN.
// Sums are double and in a fixed order. Neither is worth vectors: rows are short, and elements few where they are counted
// by thresholds, which one thread or block does.
#pragma once
#include <cstdint>

namespace fastconv {

void categorical_accuracy(const float* x, const float* labels, const float* sample_weight, double* totals, int64_t k,
                          int64_t samples, int64_t rows, int64_t classes);
// Throws std::invalid_argument, before anything is written, unless 0 <= labels[i] < classes for all i.
void categorical_accuracy(const float* x, const int32_t* labels, const float* sample_weight, double* totals, int64_t k,
                          int64_t samples, int64_t rows, int64_t classes);

void confusion(const float* x, const float* target, const float* thresholds, const float* sample_weight, double* totals,
               int64_t samples, int64_t count, int64_t threshold_count);

namespace cuda {  // the same on a stream; a class number out of range is not found
void categorical_accuracy(const float* x, const float* labels, const float* sample_weight, double* totals, int64_t k,
                          int64_t samples, int64_t rows, int64_t classes, void* stream);
void categorical_accuracy(const float* x, const int32_t* labels, const float* sample_weight, double* totals, int64_t k,
                          int64_t samples, int64_t rows, int64_t classes, void* stream);
void confusion(const float* x, const float* target, const float* thresholds, const float* sample_weight, double* totals,
               int64_t samples, int64_t count, int64_t threshold_count, void* stream);
}  // namespace cuda

}  // namespace fastconv
