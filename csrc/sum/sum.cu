// Sums over axes on the GPU: a block takes some columns of one q and a part of the rows; a second kernel adds the parts.
#include "common/elementwise.cuh"
#include "sum/sum.h"

namespace fastconv::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kRowsPerThread = 32, kMaxParts = 64;

// How the work is cut; by shape alone.
struct Cut {
  Extents e;
  int columns;  // a power of 2, of a block
  int64_t groups, rows, parts, part_rows;

  explicit Cut(const Extents& extents) : e(extents), columns(1) {
    while (columns < kWarp && columns < e.s) columns *= 2;
    groups = (e.s + columns - 1) / columns;
    rows = e.p * e.r;
    const int64_t at_once = kThreads / columns * kRowsPerThread;
    parts = (rows + at_once - 1) / at_once;
    if (parts > kMaxParts) parts = kMaxParts;
    part_rows = (rows + parts - 1) / parts;
  }
};

__global__ void __launch_bounds__(kThreads) part_kernel(Cut cut, Global<const float> x, Global<double> partials) {
  const Extents& e = cut.e;
  const int64_t q = block_x() / cut.groups, part = block_y();
  const int64_t column = block_x() % cut.groups * cut.columns + thread() % cut.columns;
  const int64_t begin = part * cut.part_rows, end = begin + cut.part_rows < cut.rows ? begin + cut.part_rows : cut.rows;
  double sum = 0.0;
  if (column < e.s)
    for (int64_t row = begin + thread() / cut.columns; row < end; row += kThreads / cut.columns)
      sum += x.load(((row / e.r * e.q + q) * e.r + row % e.r) * e.s + column);
  const Shared<double> sums = shared<double>(0, kThreads);
  sums.store(thread(), sum);
  sync();
  if (thread() >= cut.columns || column >= e.s) return;
  for (int other = thread() + cut.columns; other < kThreads; other += cut.columns) sum += sums.load(other);
  partials.store((part * e.q + q) * e.s + column, sum);
}

__global__ void __launch_bounds__(kElementwiseThreads)
    add_parts_kernel(Global<const double> partials, Global<float> y, int64_t parts, int64_t count) {
  for_each_element(count, [&](int64_t i) {
    double sum = 0.0;
    for (int64_t part = 0; part < parts; ++part) sum += partials.load(part * count + i);
    y.store(i, float(sum));
  });
}

}  // namespace

size_t sum_workspace_bytes(const Extents& extents) {
  return size_t(Cut(extents).parts * extents.small_count() + 1) * sizeof(double);  // one to begin on a multiple of 8
}

void sum_forward(const float* x, float* y, const Extents& extents, float* workspace, void* stream) {
  const Cut cut(extents);
  const int64_t count = extents.small_count();
  double* partials = reinterpret_cast<double*>((reinterpret_cast<uintptr_t>(workspace) + 7) / 8 * 8);
  launch("sum_forward", part_kernel, Grid{extents.q * cut.groups, cut.parts}, kThreads, kThreads * int(sizeof(double)),
         Stream(stream), cut, global(x, extents.count()), global(partials, cut.parts * count));
  launch("sum_forward", add_parts_kernel, elementwise_grid(count), kElementwiseThreads, 0, Stream(stream),
         global(static_cast<const double*>(partials), cut.parts * count), global(y, count), cut.parts, count);
}

}  // namespace fastconv::cuda
