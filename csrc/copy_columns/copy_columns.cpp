#include "copy_columns/copy_columns.h"

#include <algorithm>
#include <cstring>

#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr int64_t kChunk = 16 * 1024;  // elements

}  // namespace

void copy_columns(const float* x, float* y, const Columns& c) {
  const int64_t rows = std::max<int64_t>(kChunk / c.columns, 1);
  parallel_for((c.rows + rows - 1) / rows, num_threads(), [&](int64_t item, int) {
    for (int64_t row = item * rows; row < std::min((item + 1) * rows, c.rows); ++row)
      std::memcpy(y + row * c.y_pitch + c.y_at, x + row * c.x_pitch + c.x_at, size_t(c.columns) * sizeof(float));
  });
}

}  // namespace fastconv
