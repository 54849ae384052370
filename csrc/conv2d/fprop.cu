// y as a product: pixels of y by entries of a filter (windows of x), times entries by filters (w as it lies).
#include "conv2d/cut.cuh"
#include "conv2d/epilogue.cuh"
#include "conv2d/operands.cuh"
#include "conv2d/splits.cuh"

namespace fastconv::cuda {
namespace {

template <class Number>
struct Fprop {
  Windows<Number, Normalized> x;
  Rows<float, AsItLies> w;
  Global<const float> bias;
  Global<Number> y;
  Global<float> sums, statistics;  // sums: of each split, in place of y
  Blocks blocks;
};

// Mean and sum of squared deviations over a tile's rows, by the corrected two-pass algorithm (batchnorm.h).
template <class T, class E>
__device__ void write_statistics(const Fprop<typename T::Number>& a, const float (&y)[E::kValues], int first_m, int n) {
  const int rows = a.x.rows - first_m < T::kM ? a.x.rows - first_m : T::kM;
  float sum = 0.0f, deviations = 0.0f, squares = 0.0f;
#pragma unroll
  for (int i = 0; i < E::kValues; ++i) sum += E::row(i) < rows ? y[i] : 0.0f;
  const float mean = E::column_sum(0, sum) / float(rows);
#pragma unroll
  for (int i = 0; i < E::kValues; ++i) {
    const float d = E::row(i) < rows ? y[i] - mean : 0.0f;
    deviations += d;
    squares = fmaf(d, d, squares);
  }
  const float correction = E::column_sum(1, deviations) / float(rows);
  squares = fmaf(-correction * correction, float(rows), E::column_sum(2, squares));
  if (E::row(0) > 0 || n >= a.w.columns) return;
  const int64_t part = a.blocks.tile_m();
  a.statistics.store(2 * part * a.w.columns + n, mean + correction);
  a.statistics.store((2 * part + 1) * a.w.columns + n, squares > 0.0f ? squares : 0.0f);
}

template <class T, bool kHighest>
using Product =
    Gemm<T, kHighest, Along::columns, Along::rows, Windows<typename T::Number, Normalized>, Rows<float, AsItLies>>;

template <class T, bool kHighest>
__global__ void __launch_bounds__(kGemmThreads, 2) fprop_kernel(Fprop<typename T::Number> a) {
  using E = Epilogue<T>;
  const int first_m = a.blocks.tile_m() * T::kM, first_n = a.blocks.tile_n() * T::kN, n = first_n + E::column();
  float y[E::kValues];
  E::collect(Product<T, kHighest>::run(a.x, a.w, first_m, first_n, a.blocks.first(), a.blocks.end(a.x.columns)), y);
  const float bias = a.bias && n < a.w.columns ? a.bias.load(n) : 0.0f;
  const int64_t split = block_y() * a.x.rows;
#pragma unroll
  for (int i = 0; i < E::kValues; ++i) {
    const int m = first_m + E::row(i);
    const bool inside = m < a.x.rows && n < a.w.columns;
    if (a.sums) {
      if (inside) a.sums.store((split + m) * a.w.columns + n, y[i]);
    } else {
      y[i] = typename T::Number(y[i] + bias);  // statistics are of what memory has
      if (inside) a.y.store(int64_t(m) * a.w.columns + n, y[i]);
    }
  }
  if (a.statistics) write_statistics<T, E>(a, y, first_m, n);
}

// Only dense layers are split: a convolution's outputs have the same bits with and without statistics, which need whole
// sums.
Cut cut_of(const Conv2DGeometry& g, bool statistics) {
  return Cut(g.n * g.p * g.q, g.k, g.r * g.s * g.c, in_fours(g), is_dense(g) && !statistics);
}

int64_t partial_floats(const Conv2DGeometry& g, const Cut& cut) {
  return cut.splits > 1 ? cut.splits * g.n * g.p * g.q * g.k : 0;
}

int64_t statistics_floats(const Conv2DGeometry& g, const Cut& cut) { return 2 * cut.tiles_m * g.k; }

}  // namespace

size_t conv2d_fprop_workspace_bytes(const Conv2DGeometry& g, bool statistics) {
  const Cut cut = cut_of(g, statistics);
  return sizeof(float) * (statistics ? statistics_floats(g, cut) : partial_floats(g, cut));
}

template <class Number>
void conv2d_fprop(const Conv2DGeometry& g, const Conv2DInputOf<Number>& x, const float* w, const float* b, Number* y,
                  const BatchNormStatistics* statistics, Precision precision, float* workspace, void* stream) {
  check_limits(g);
  const Cut cut = cut_of(g, statistics);
  const int64_t pixels = g.n * g.p * g.q, entries = g.r * g.s * g.c;
  const bool split = cut.splits > 1;
  const Fprop<Number> a = {windows_of(g, x),
                           {global(w, entries * g.k), int(entries), int(g.k), {}},
                           global(b, g.k),
                           global(y, pixels * g.k),
                           global(split ? workspace : nullptr, cut.splits * pixels * g.k),
                           global(statistics ? workspace : nullptr, statistics_floats(g, cut)),
                           cut.blocks()};
  with_tile<Number>(cut, in_fours(g) && on_vectors(x.data, w), precision, [&](auto tile, auto highest) {
    using T = decltype(tile);
    launch("conv2d_fprop", fprop_kernel<T, highest>, cut.grid(), kGemmThreads,
           shared_bytes<Product<T, highest>, T>(1, 1), Stream(stream), a);
    if (statistics)
      batchnorm_finish_statistics(workspace, nullptr, cut.tiles_m, T::kM, pixels, g.k, *statistics, stream);
  });
  if (split) add_partials("conv2d_fprop_add", {workspace, cut.splits, pixels * g.k, 0}, b, g.k, y, nullptr, stream);
}

#define FASTCONV_INSTANTIATE(Number)                                                                                   \
  template void conv2d_fprop(const Conv2DGeometry&, const Conv2DInputOf<Number>&, const float*, const float*, Number*, \
                             const BatchNormStatistics*, Precision, float*, void*)
FASTCONV_INSTANTIATE(float);
FASTCONV_INSTANTIATE(BFloat16);

}  // namespace fastconv::cuda
