// dw as a product: entries of a filter by pixels (windows of x, turned round), times pixels by filters (dy). Pixels are
// split over blocks. The sum of dy over pixels, db, is taken from the fragments of dy.
#include "conv2d/backward.cuh"
#include "conv2d/cut.cuh"
#include "conv2d/epilogue.cuh"
#include "conv2d/operands.cuh"
#include "conv2d/splits.cuh"

namespace fastconv::cuda {
namespace {

template <class Number>
struct Wgrad {
  Windows<Number, Normalized> x;
  Rows<Number, Gradient<Number>> dy;
  Global<float> dw, db;  // of each split
  int64_t split_floats;  // from the dw, and the db, of a split to the next
  Blocks blocks;
};

template <class T, bool kHighest>
using Product = Gemm<T, kHighest, Along::rows, Along::rows, Windows<typename T::Number, Normalized>,
                     Rows<typename T::Number, Gradient<typename T::Number>>>;

template <class T, bool kHighest>
__global__ void __launch_bounds__(kGemmThreads, 2) wgrad_kernel(Wgrad<typename T::Number> a) {
  using E = Epilogue<T>;
  const int first_m = a.blocks.tile_m() * T::kM, first_n = a.blocks.tile_n() * T::kN, n = first_n + E::column();
  const Sums<T> sums = Product<T, kHighest>::run(a.x, a.dy, first_m, first_n, a.blocks.first(), a.blocks.end(a.x.rows));
  float dw[E::kValues];
  E::collect(sums, dw);
  const int64_t split = block_y() * a.split_floats;
#pragma unroll
  for (int i = 0; i < E::kValues; ++i) {
    const int m = first_m + E::row(i);
    if (m < a.x.columns && n < a.dy.columns) a.dw.store(split + int64_t(m) * a.dy.columns + n, dw[i]);
  }
  if (!a.db || first_m > 0) return;
  const float db = E::sum_of_b(sums);
  if (E::row(0) == 0 && n < a.dy.columns) a.db.store(split + n, db);
}

Cut cut_of(const Conv2DGeometry& g) { return Cut(g.r * g.s * g.c, g.k, g.n * g.p * g.q, in_fours(g), true); }

}  // namespace

size_t wgrad_workspace_bytes(const Conv2DGeometry& g) {
  const Cut cut = cut_of(g);
  return cut.splits > 1 ? sizeof(float) * cut.splits * (g.r * g.s * g.c + 1) * g.k : 0;
}

template <class Number>
void wgrad(const Conv2DGeometry& g, const Conv2DBackwardOf<Number>& a, Precision precision, float* workspace,
           void* stream) {
  check_limits(g);
  const Cut cut = cut_of(g);
  const int64_t pixels = g.n * g.p * g.q, dw_floats = g.r * g.s * g.c * g.k, db_floats = a.db ? g.k : 0;
  const int64_t split_floats = dw_floats + db_floats;
  const int64_t before = (cut.splits - 1) * split_floats;
  const bool split = cut.splits > 1;
  const Wgrad<Number> arguments = {windows_of(g, a.x),
                                   {global(a.dy, pixels * g.k), int(pixels), int(g.k), gradient_of(g, a)},
                                   global(split ? workspace : a.dw, before + dw_floats),
                                   global(split && a.db ? workspace + dw_floats : a.db, before + db_floats),
                                   split_floats,
                                   cut.blocks()};
  const bool vectors = in_fours(g) && on_vectors(a.x.data, a.dy, a.y_norm ? a.y : nullptr);
  with_tile<Number>(cut, vectors, precision, [&](auto tile, auto highest) {
    using T = decltype(tile);
    const int bytes = shared_bytes<Product<T, highest>, T>(1, arguments.dy.load.arrays());
    launch("conv2d_wgrad", wgrad_kernel<T, highest>, cut.grid(), kGemmThreads, bytes, Stream(stream), arguments);
  });
  const Partials partials = {workspace, cut.splits, dw_floats, db_floats};
  if (split) add_partials("conv2d_wgrad_add", partials, nullptr, 1, a.dw, a.db, stream);
}

template void wgrad(const Conv2DGeometry&, const Conv2DBackwardOf<float>&, Precision, float*, void*);
template void wgrad(const Conv2DGeometry&, const Conv2DBackwardOf<BFloat16>&, Precision, float*, void*);

}  // namespace fastconv::cuda
