// From sums over parts of a tensor's rows to what batch normalization writes: shared by batchnorm and by the ops that
// compute its sums while the rows are in cache (conv2d). Parts are cut by shape and merged in order: the same bits for
// any number of threads.
#pragma once
#include <cstddef>
#include <cstdint>

#include "batchnorm/batchnorm.h"

namespace fastconv {

// (mean, m2) of `count` rows become those of `more` further rows as well: Chan, Golub, LeVeque 1983.
void batchnorm_merge(int64_t channels, double count, double* mean, double* m2, double more, const double* more_mean,
                     const double* more_m2) noexcept;

// Channels [begin, end) of the outputs, from (mean, m2) or (dbeta, moment) of all rows.
void batchnorm_write_statistics(int64_t rows, int64_t begin, int64_t end, const double* mean, const double* m2,
                                const BatchNormStatistics& to) noexcept;
void batchnorm_write_gradients(int64_t rows, int64_t begin, int64_t end, const double* dbeta, const double* moment,
                               const float* rstd, const float* gamma, const BatchNormGradients& to) noexcept;

// The sums of a tensor that come block by block, one part from one thread.
class BatchNormParts {
 public:
  static size_t floats(int64_t parts, int64_t channels) noexcept;  // of memory

  BatchNormParts(float* memory, int64_t parts, int64_t channels) noexcept;  // all parts are empty

  void add(int64_t part, const float* x, int64_t rows) noexcept;
  void add_gradients(int64_t part, const float* dy, const float* x, const BatchNormTransform& t, int64_t rows,
                     float* dz = nullptr) noexcept;  // dz may be dy

  void finish(const BatchNormStatistics& to) noexcept;
  void finish_gradients(const float* rstd, const float* gamma, const BatchNormGradients& to) noexcept;

 private:
  double* count(int64_t part) const noexcept { return sums_ + part * pitch_; }
  double* first(int64_t part) const noexcept { return count(part) + 8; }
  double* second(int64_t part) const noexcept { return first(part) + channels_; }
  double* block(int64_t part) const noexcept { return second(part) + channels_; }  // sums of the block being added

  double* sums_;
  int64_t parts_, channels_, pitch_;
};

}  // namespace fastconv
