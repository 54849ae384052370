// Host side of batchnorm: checks, the cut into parts, the merge of their sums, choice of the instruction set.
#include "batchnorm/batchnorm.h"

#include <algorithm>
#include <limits>

#include "batchnorm/statistics.h"
#include "common/errors.h"
#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr int64_t kPartElements = 32 * 1024;  // of the sums: 128 KiB of x
constexpr int64_t kPartRows = 64;             // at least: bounds the workspace to a sixteenth of x
constexpr int64_t kMaxParts = 64;
constexpr int64_t kApplyElements = 32 * 1024;
constexpr int64_t kRowMultiple = 64;  // of parts and chunks: whole cache lines and whole lines of the kernels
constexpr int64_t kMergeChannels = 256;
constexpr size_t kAlignment = 64;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

void check_shape(int64_t rows, int64_t channels, const char* where) {
  require(rows > 0, where, "at least one row", rows);
  require(channels > 0, where, "at least one channel", channels);
  int64_t count = 0;
  if (__builtin_mul_overflow(rows, channels, &count) || count > std::numeric_limits<int64_t>::max() / 64)
    fail(where, "a size that fits in memory", std::to_string(rows) + " rows of " + std::to_string(channels));
}

int64_t rows_per_part(int64_t rows, int64_t channels) {
  const int64_t parts = std::clamp<int64_t>(std::min(rows * channels / kPartElements, rows / kPartRows), 1, kMaxParts);
  return parts == 1 ? rows : round_up(ceil_div(rows, parts), kRowMultiple);
}

int64_t part_count(int64_t rows, int64_t channels) { return ceil_div(rows, rows_per_part(rows, channels)); }

// Two sums of a part, one double per channel each; slots begin on cache lines.
int64_t slot_doubles(int64_t channels) { return 2 * round_up(channels, 8); }

size_t sums_bytes(int64_t rows, int64_t channels) {
  return sizeof(double) * part_count(rows, channels) * slot_doubles(channels);
}

double* aligned_workspace(float* workspace, size_t bytes, size_t wanted, const char* where) {
  if (!workspace || bytes < wanted)
    fail(where, std::to_string(wanted) + " bytes of workspace", std::to_string(workspace ? bytes : 0));
  const uintptr_t address = reinterpret_cast<uintptr_t>(workspace);
  return reinterpret_cast<double*>((address + kAlignment - 1) / kAlignment * kAlignment);
}

// Calls kernel(range, first sums, second sums) for every part of the rows and every group of channels.
template <typename Kernel>
void for_each_part(int64_t rows, int64_t channels, double* sums, Kernel&& kernel) {
  const int64_t part_rows = rows_per_part(rows, channels);
  const int64_t groups = ceil_div(channels, kBatchNormColumns);
  parallel_for(part_count(rows, channels) * groups, num_threads(), [&](int64_t item, int) {
    const int64_t part = item / groups, channel = item % groups * kBatchNormColumns;
    const BatchNormRange range = {part * part_rows, std::min((part + 1) * part_rows, rows), channel,
                                  std::min(channel + kBatchNormColumns, channels)};
    double* slot = sums + part * slot_doubles(channels);
    kernel(range, slot, slot + slot_doubles(channels) / 2);
  });
}

// Calls kernel(row begin, row end). Backwards: what the sums read last is still in the cache.
template <typename Kernel>
void for_each_chunk(int64_t rows, int64_t channels, Kernel&& kernel) {
  int64_t chunk = std::max<int64_t>(kApplyElements / channels, 1);
  if (chunk > kRowMultiple) chunk = round_up(chunk, kRowMultiple);
  const int64_t chunks = ceil_div(rows, chunk);
  parallel_for(chunks, num_threads(), [&](int64_t item, int) {
    const int64_t begin = (chunks - 1 - item) * chunk;
    kernel(begin, std::min(begin + chunk, rows));
  });
}

void forward_apply(int64_t rows, int64_t channels, const float* x, const BatchNormTransform& transform, float* y) {
  const auto apply_kernel = FASTCONV_PICK(batchnorm_forward_apply_bands);
  for_each_chunk(rows, channels, [&](int64_t begin, int64_t end) {
    apply_kernel(x + begin * channels, channels, transform, y + begin * channels, {1, end - begin, 0});
  });
}

// Calls body(channel begin, channel end): per-channel work between two sweeps, in parallel where it is not small.
template <typename Body>
void for_each_channels(int64_t channels, Body&& body) {
  parallel_for(ceil_div(channels, kMergeChannels), num_threads(), [&](int64_t item, int) {
    body(item * kMergeChannels, std::min((item + 1) * kMergeChannels, channels));
  });
}

}  // namespace

size_t batchnorm_forward_workspace_bytes(int64_t rows, int64_t channels) {
  check_shape(rows, channels, "batchnorm_forward");
  return sums_bytes(rows, channels) + kAlignment;
}

void batchnorm_forward(int64_t rows, int64_t channels, const float* x, const float* gamma, const float* beta, float* y,
                       const BatchNormStatistics& statistics, float slope, float* workspace, size_t workspace_bytes) {
  double* sums = aligned_workspace(workspace, workspace_bytes, batchnorm_forward_workspace_bytes(rows, channels),
                                   "batchnorm_forward");
  const auto sums_kernel = FASTCONV_PICK(batchnorm_forward_sums_range);
  for_each_part(rows, channels, sums, [&](const BatchNormRange& range, double* part_mean, double* part_m2) {
    sums_kernel(x, channels, range, part_mean, part_m2);
  });

  const int64_t part_rows = rows_per_part(rows, channels), slot = slot_doubles(channels);
  for_each_channels(channels, [&](int64_t begin, int64_t end) {
    double *mean = sums, *m2 = sums + slot / 2;  // of the first part; the others are merged into it
    for (int64_t row = part_rows; row < rows; row += part_rows) {
      const double* part = sums + row / part_rows * slot;
      batchnorm_merge(end - begin, double(row), mean + begin, m2 + begin, double(std::min(part_rows, rows - row)),
                      part + begin, part + slot / 2 + begin);
    }
    batchnorm_write_statistics(rows, begin, end, mean, m2, statistics);
  });

  const BatchNormTransform transform = {statistics.mean, statistics.rstd, nullptr, gamma, beta, 0.0, slope};
  forward_apply(rows, channels, x, transform, y);
}

void batchnorm_apply(int64_t rows, int64_t channels, const float* x, const float* mean, const float* rstd,
                     const float* gamma, const float* beta, float* y, float slope) {
  check_shape(rows, channels, "batchnorm_apply");
  forward_apply(rows, channels, x, {mean, rstd, nullptr, gamma, beta, 0.0, slope}, y);
}

void batchnorm_inference(int64_t rows, int64_t channels, const float* x, const float* gamma, const float* beta,
                         const float* moving_mean, const float* moving_variance, float* y, double epsilon,
                         float slope) {
  check_shape(rows, channels, "batchnorm_inference");
  const BatchNormTransform transform = {moving_mean, nullptr, moving_variance, gamma, beta, epsilon, slope};
  forward_apply(rows, channels, x, transform, y);
}

size_t batchnorm_backward_workspace_bytes(int64_t rows, int64_t channels) {
  check_shape(rows, channels, "batchnorm_backward");
  return sums_bytes(rows, channels) + kAlignment;
}

void batchnorm_backward(int64_t rows, int64_t channels, const float* dy, const float* x, const float* gamma,
                        const float* beta, const float* mean, const float* rstd, float* dx,
                        const BatchNormGradients& gradients, float slope, float* workspace, size_t workspace_bytes) {
  double* sums = aligned_workspace(workspace, workspace_bytes, batchnorm_backward_workspace_bytes(rows, channels),
                                   "batchnorm_backward");
  const BatchNormTransform transform = {mean, rstd, nullptr, gamma, beta, 0.0, slope};
  const auto sums_kernel = FASTCONV_PICK(batchnorm_backward_sums_range);
  for_each_part(rows, channels, sums, [&](const BatchNormRange& range, double* part_dbeta, double* part_moment) {
    sums_kernel(dy, x, channels, transform, range, part_dbeta, part_moment, nullptr);
  });

  const int64_t parts = part_count(rows, channels), slot = slot_doubles(channels);
  for_each_channels(channels, [&](int64_t begin, int64_t end) {
    double *total_dbeta = sums, *total_moment = sums + slot / 2;
    for (int64_t part = 1; part < parts; ++part) {
      for (int64_t c = begin; c < end; ++c) {
        total_dbeta[c] += sums[part * slot + c];
        total_moment[c] += sums[part * slot + slot / 2 + c];
      }
    }
    batchnorm_write_gradients(rows, begin, end, total_dbeta, total_moment, rstd, gamma, gradients);
  });

  if (!dx) return;
  const auto apply_kernel = FASTCONV_PICK(batchnorm_backward_apply_bands);
  for_each_chunk(rows, channels, [&](int64_t begin, int64_t end) {
    const int64_t at = begin * channels;
    apply_kernel(dy + at, x + at, channels, transform, gradients.slope_x, gradients.offset, dx + at,
                 {1, end - begin, 0});
  });
}

}  // namespace fastconv
