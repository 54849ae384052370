// Batch normalization over all axes but the last, alone or fused with LeakyReLU / ReLU:
//   forward    mean[c], v[c] = mean and biased variance of x[., c];  rstd = 1 / sqrt(v + epsilon)
//              moving = moving * momentum + batch * (1 - momentum), as in Keras
//              z = (x - mean) * (rstd * gamma) + beta,  y = z > 0 ? z : slope * z
//   inference  the same z and y from moving_mean and moving_variance
//   apply      the same z and y from mean and rstd
//   backward   dz = z > 0 ? dy : slope * dy,  xhat = (x - mean) * rstd,  dbeta = sum dz,  dgamma = sum dz * xhat
//              dx = gamma * rstd * (dz - dbeta / rows - xhat * dgamma / rows)
// x, y, dy, dx: rows * channels floats, channels innermost; everything else: `channels` floats.
// The common contract is in docs/kernels.md; batchnorm adds:
//  - slope 1 is no activation, slope 0 is ReLU (+0 at -Inf; NaN stays NaN).
//  - backward recomputes z with the instructions of forward: their signs agree to the bit.
//  - gamma (then 1), beta (then 0), dgamma, dbeta and dx may be null.
//  - apply is the second half of forward, for statistics that another op computed (conv2d, beside its outputs).
//  - In-place ok: y may be x (backward then has no x to read), dx may be dy.
//  - Statistics: in blocks of rows that stay in the first-level cache, a mean, then the sums of d = x - mean and d * d,
//    whose first moment corrects both (Chan, Golub, LeVeque 1983, "corrected two-pass"); blocks, then parts, are merged
//    by Chan's rule in double, in order. Gradient sums: float in a block, double from there on.
//  - Rows are cut into parts by shape alone: the same bits for any number of threads.
//  - Passes over memory: forward 2 reads and 1 write, inference 1 and 1, backward 4 reads (of dy, x) and 1 write.
#pragma once
#include <cstddef>
#include <cstdint>

#include "common/isa.h"

namespace fastconv {

// z = (x - mean) * (rstd * gamma) + beta, y = z > 0 ? z : slope * z. Inference has no array for rstd: rstd is null there,
// and the kernels compute 1 / sqrt(variance + epsilon).
struct BatchNormTransform {
  const float *mean, *rstd, *variance, *gamma, *beta;
  double epsilon;
  float slope;
};

// What forward writes of the batch, and the moving averages that it updates.
struct BatchNormStatistics {
  float *mean, *rstd, *moving_mean, *moving_variance;
  double momentum, epsilon;
};

// What backward writes besides dx: dx = gamma * rstd * dz + (x - mean) * slope_x + offset. dgamma and dbeta may be null.
struct BatchNormGradients {
  float *dgamma, *dbeta, *slope_x, *offset;
};

// ---- host entry points (batchnorm.cpp); they throw std::invalid_argument on an empty shape or a small workspace ----
size_t batchnorm_forward_workspace_bytes(int64_t rows, int64_t channels);
void batchnorm_forward(int64_t rows, int64_t channels, const float* x, const float* gamma, const float* beta, float* y,
                       const BatchNormStatistics& statistics, float slope, float* workspace, size_t workspace_bytes);

void batchnorm_apply(int64_t rows, int64_t channels, const float* x, const float* mean, const float* rstd,
                     const float* gamma, const float* beta, float* y, float slope);

void batchnorm_inference(int64_t rows, int64_t channels, const float* x, const float* gamma, const float* beta,
                         const float* moving_mean, const float* moving_variance, float* y, double epsilon, float slope);

size_t batchnorm_backward_workspace_bytes(int64_t rows, int64_t channels);
void batchnorm_backward(int64_t rows, int64_t channels, const float* dy, const float* x, const float* gamma,
                        const float* beta, const float* mean, const float* rstd, float* dx,
                        const BatchNormGradients& gradients, float slope, float* workspace, size_t workspace_bytes);

// ---- kernels, one version per instruction set (batchnorm_simd.cpp) ----
struct BatchNormRange {
  int64_t row_begin, row_end, channel_begin, channel_end;
};

// Floats of a row that the kernels keep tables for on their stack. A sums range has at most so many channels.
constexpr int64_t kBatchNormColumns = 1024;

// `count` bands of `rows` rows each, contiguous in x and dy, `pitch` floats apart where they are written.
struct BatchNormBands {
  int64_t count, rows, pitch;
};

// forward_sums: mean[c] and m2[c] = sum of (x - mean)^2 over the rows of the range, for its channels.
// backward_sums: dbeta[c] = sum dz, moment[c] = sum dz * (x - mean), likewise; writes dz too, unless null.
// backward_apply: dx = scale * dz + (x - mean) * slope_x[c] + offset[c], scale = rstd * gamma.
// mean, m2, dbeta, moment point to the first channel of the array, whatever the range.
#define FASTCONV_DECLARE_BATCHNORM(isa)                                                                               \
  namespace isa {                                                                                                     \
  void batchnorm_forward_sums_range(const float* x, int64_t channels, const BatchNormRange& range, double* mean,      \
                                    double* m2) noexcept;                                                             \
  void batchnorm_forward_apply_bands(const float* x, int64_t channels, const BatchNormTransform& t, float* y,         \
                                     const BatchNormBands& bands) noexcept;                                           \
  void batchnorm_backward_sums_range(const float* dy, const float* x, int64_t channels, const BatchNormTransform& t,  \
                                     const BatchNormRange& range, double* dbeta, double* moment, float* dz) noexcept; \
  void batchnorm_backward_apply_bands(const float* dy, const float* x, int64_t channels, const BatchNormTransform& t, \
                                      const float* slope_x, const float* offset, float* dx,                           \
                                      const BatchNormBands& bands) noexcept;                                          \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_BATCHNORM)
#undef FASTCONV_DECLARE_BATCHNORM

namespace cuda {  // batchnorm.cu: the same on a stream. `workspace` has the bytes of batchnorm_workspace_bytes.
// Number: float or BFloat16 (common/cuda.cuh).
size_t batchnorm_workspace_bytes(int64_t rows, int64_t channels);  // of forward and of backward
template <class Number>
void batchnorm_forward(int64_t rows, int64_t channels, const Number* x, const float* gamma, const float* beta,
                       Number* y, const BatchNormStatistics& statistics, float slope, float* workspace, void* stream);
template <class Number>
void batchnorm_apply(int64_t rows, int64_t channels, const Number* x, const float* mean, const float* rstd,
                     const float* gamma, const float* beta, Number* y, float slope, void* stream);
template <class Number>
void batchnorm_inference(int64_t rows, int64_t channels, const Number* x, const float* gamma, const float* beta,
                         const float* moving_mean, const float* moving_variance, Number* y, double epsilon, float slope,
                         void* stream);
template <class Number>
void batchnorm_backward(int64_t rows, int64_t channels, const Number* dy, const Number* x, const float* gamma,
                        const float* beta, const float* mean, const float* rstd, Number* dx,
                        const BatchNormGradients& gradients, float slope, float* workspace, void* stream);

// statistics.cu: the end of sums that another kernel took, part by part.
// `partials`, two floats a part and channel: partials[(2 * part + i) * channels + c], i = 0: mean, i = 1: m2 of rows
// [part * rows_per_part, (part + 1) * rows_per_part), none of them empty; merged in double, in a fixed order. The means
// are less `origin[c]`, where that is not null: a number of the channel, so that no digits go where the mean is large.
void batchnorm_finish_statistics(const float* partials, const float* origin, int64_t parts, int64_t rows_per_part,
                                 int64_t rows, int64_t channels, const BatchNormStatistics& to, void* stream);
// The same with i = 0: sum of dz, i = 1: sum of dz * (x - mean), of any rows.
void batchnorm_finish_gradients(const float* partials, int64_t parts, int64_t rows, int64_t channels, const float* rstd,
                                const float* gamma, const BatchNormGradients& to, void* stream);
}  // namespace cuda

}  // namespace fastconv
