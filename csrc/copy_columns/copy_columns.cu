// Copies of some columns on the GPU.
#include "common/elementwise.cuh"
#include "copy_columns/copy_columns.h"

namespace fastconv::cuda {
namespace {

__global__ void __launch_bounds__(kElementwiseThreads)
    copy_columns_kernel(Global<const float> x, Global<float> y, Columns c) {
  for_each_element(c.rows * c.columns, [&](int64_t i) {
    const int64_t row = i / c.columns, column = i - row * c.columns;
    y.store(row * c.y_pitch + c.y_at + column, x.load(row * c.x_pitch + c.x_at + column));
  });
}

}  // namespace

void copy_columns(const float* x, float* y, const Columns& c, void* stream) {
  launch("copy_columns", copy_columns_kernel, elementwise_grid(c.rows * c.columns), kElementwiseThreads, 0,
         Stream(stream), global(x, c.rows * c.x_pitch), global(y, c.rows * c.y_pitch), c);
}

}  // namespace fastconv::cuda
