#include "batchnorm/statistics.h"

#include <algorithm>
#include <cmath>

namespace fastconv {
namespace {

constexpr int64_t kLine = 8;  // doubles of a cache line

int64_t slot_pitch(int64_t channels) noexcept { return kLine + (4 * channels + kLine - 1) / kLine * kLine; }

// Calls body(range) for groups of channels that a kernel can take at once.
template <typename Body>
void for_each_group(int64_t rows, int64_t channels, Body&& body) noexcept {
  for (int64_t c = 0; c < channels; c += kBatchNormColumns)
    body(BatchNormRange{0, rows, c, std::min(c + kBatchNormColumns, channels)});
}

}  // namespace

void batchnorm_merge(int64_t channels, double count, double* mean, double* m2, double more, const double* more_mean,
                     const double* more_m2) noexcept {
  const double weight = more / (count + more), cross = count * weight;
  for (int64_t c = 0; c < channels; ++c) {
    const double delta = more_mean[c] - mean[c];
    mean[c] += delta * weight;
    m2[c] += more_m2[c] + delta * delta * cross;
  }
}

void batchnorm_write_statistics(int64_t rows, int64_t begin, int64_t end, const double* mean, const double* m2,
                                const BatchNormStatistics& to) noexcept {
  for (int64_t c = begin; c < end; ++c) {
    const double variance = m2[c] / double(rows);
    to.mean[c] = float(mean[c]);
    to.rstd[c] = float(1.0 / std::sqrt(variance + to.epsilon));
    to.moving_mean[c] = float(to.moving_mean[c] * to.momentum + mean[c] * (1.0 - to.momentum));
    to.moving_variance[c] = float(to.moving_variance[c] * to.momentum + variance * (1.0 - to.momentum));
  }
}

void batchnorm_write_gradients(int64_t rows, int64_t begin, int64_t end, const double* dbeta, const double* moment,
                               const float* rstd, const float* gamma, const BatchNormGradients& to) noexcept {
  for (int64_t c = begin; c < end; ++c) {
    const double scale = double(rstd[c]) * (gamma ? gamma[c] : 1.0f), dgamma = moment[c] * rstd[c];
    if (to.dbeta) to.dbeta[c] = float(dbeta[c]);
    if (to.dgamma) to.dgamma[c] = float(dgamma);
    to.slope_x[c] = float(-scale * rstd[c] * dgamma / double(rows));
    to.offset[c] = float(-scale * dbeta[c] / double(rows));
  }
}

size_t BatchNormParts::floats(int64_t parts, int64_t channels) noexcept {
  return 2 * size_t(parts * slot_pitch(channels) + kLine);
}

BatchNormParts::BatchNormParts(float* memory, int64_t parts, int64_t channels) noexcept
    : parts_(parts), channels_(channels), pitch_(slot_pitch(channels)) {
  const uintptr_t line = kLine * sizeof(double);
  sums_ = reinterpret_cast<double*>((reinterpret_cast<uintptr_t>(memory) + line - 1) / line * line);
  for (int64_t part = 0; part < parts; ++part) *count(part) = 0.0;
}

void BatchNormParts::add(int64_t part, const float* x, int64_t rows) noexcept {
  const auto kernel = FASTCONV_PICK(batchnorm_forward_sums_range);
  const bool fresh = *count(part) == 0.0;
  double* mean = fresh ? first(part) : block(part);
  for_each_group(rows, channels_,
                 [&](const BatchNormRange& range) { kernel(x, channels_, range, mean, mean + channels_); });
  if (!fresh) batchnorm_merge(channels_, *count(part), first(part), second(part), double(rows), mean, mean + channels_);
  *count(part) += double(rows);
}

void BatchNormParts::add_gradients(int64_t part, const float* dy, const float* x, const BatchNormTransform& t,
                                   int64_t rows, float* dz) noexcept {
  const auto kernel = FASTCONV_PICK(batchnorm_backward_sums_range);
  const bool fresh = *count(part) == 0.0;
  double* dbeta = fresh ? first(part) : block(part);
  for_each_group(rows, channels_, [&](const BatchNormRange& range) {
    kernel(dy, x, channels_, t, range, dbeta, dbeta + channels_, dz);
  });
  if (!fresh)
    for (int64_t c = 0; c < 2 * channels_; ++c) first(part)[c] += dbeta[c];
  *count(part) += double(rows);
}

void BatchNormParts::finish(const BatchNormStatistics& to) noexcept {
  for (int64_t part = 1; part < parts_; ++part) {
    batchnorm_merge(channels_, *count(0), first(0), second(0), *count(part), first(part), second(part));
    *count(0) += *count(part);
  }
  batchnorm_write_statistics(int64_t(*count(0)), 0, channels_, first(0), second(0), to);
}

void BatchNormParts::finish_gradients(const float* rstd, const float* gamma, const BatchNormGradients& to) noexcept {
  for (int64_t part = 1; part < parts_; ++part) {
    for (int64_t c = 0; c < 2 * channels_; ++c) first(0)[c] += first(part)[c];
    *count(0) += *count(part);
  }
  batchnorm_write_gradients(int64_t(*count(0)), 0, channels_, first(0), second(0), rstd, gamma, to);
}

}  // namespace fastconv
