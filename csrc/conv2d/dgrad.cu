// dx as products, one for each phase of the stride: the pixels of x whose windows meet the same taps of the filter. In each,
// pixels by (tap, filter) (windows of dy that go backwards), times (tap, filter) by channels (w, turned round). No product
// has an inserted zero; the pixels of a phase without taps become zero.
#include "conv2d/backward.cuh"
#include "conv2d/cut.cuh"
#include "conv2d/epilogue.cuh"
#include "conv2d/operands.cuh"
#include "conv2d/splits.cuh"

namespace fastconv::cuda {
namespace {

// The phases of one axis: pixel number `phase` and every stride-th from there.
struct Axis {
  int64_t stride;
  int size, filter, pad, most_pixels, most_taps;
  // A phase has the most pixels or taps, or one less.
  Divisor by_stride, by_most_pixels, by_fewer_pixels, by_most_taps, by_fewer_taps;

  Axis(int64_t size, int64_t filter, int64_t stride, int64_t pad)
      : stride(stride),
        size(int(size)),
        filter(int(filter)),
        pad(int(pad)),
        most_pixels(int(ceil_div(size, stride))),
        most_taps(int(ceil_div(filter, stride))),
        by_stride(stride),
        by_most_pixels(most_pixels),
        by_fewer_pixels(std::max(most_pixels - 1, 1)),
        by_most_taps(most_taps),
        by_fewer_taps(std::max(most_taps - 1, 1)) {}

  int64_t phases() const { return std::min<int64_t>(stride, size); }
};

struct Phase {
  int first_pixel, first_output, first_tap;  // that meet; the next tap, stride on, meets the output before
  int pixels, taps;
  Divisor by_pixels, by_taps;

  __device__ Phase(const Axis& axis, int phase) : first_pixel(phase) {
    first_output = axis.by_stride.quotient(phase + axis.pad);
    first_tap = axis.by_stride.remainder(phase + axis.pad, first_output);
    const bool most_pixels = phase + (axis.most_pixels - 1) * axis.stride < axis.size;
    const bool most_taps = first_tap + (axis.most_taps - 1) * axis.stride < axis.filter;
    pixels = axis.most_pixels - !most_pixels;
    taps = axis.most_taps - !most_taps;
    by_pixels = most_pixels ? axis.by_most_pixels : axis.by_fewer_pixels;
    by_taps = most_taps ? axis.by_most_taps : axis.by_fewer_taps;
  }
};

// The filter's entries that a phase meets: channels as rows, (tap, filter) as columns, as they lie in memory.
struct PhaseWeights {
  using Number = float;
  using Load = AsItLies;
  using Row = int;
  struct Column {
    int entry, filter;  // entry: of a filter, the first of the tap
    bool inside;
  };

  Global<const float> data;
  int channels, filter_w, columns;  // channels: of x
  int64_t stride_h, stride_w;
  int first_h, first_w;
  Divisor taps_w, filters;
  AsItLies load;

  __device__ static Row row(int i) { return i; }
  __device__ Column column(int j) const {
    if (j >= columns) return {0, 0, false};
    const int tap = filters.quotient(j), tap_h = taps_w.quotient(tap);
    const int64_t r = first_h + stride_h * tap_h, s = first_w + stride_w * taps_w.remainder(tap, tap_h);
    return {int((r * filter_w + s) * channels), filters.remainder(j, tap), true};
  }
  __device__ bool inside(Row row, const Column& column) const { return row < channels && column.inside; }
  __device__ int64_t at(Row row, const Column& column) const {
    return int64_t(column.entry + row) * filters.d + column.filter;
  }
};

template <class Number>
struct Dgrad {
  Global<const Number> dy, x;
  Global<const float> w;
  Global<Number> dx;
  // parts: of each split, in place of dx. sums: of the batch normalization before, for each tile of m
  Global<float> parts, sums;
  int images, outputs_h, outputs_w, channels;
  Axis vertical, horizontal;
  Divisor tiles, phases_w, filters;  // tiles: of m, in a phase
  Gradient<Number> load;
  Norm x_norm;
  Blocks blocks;
};

template <class T, bool kHighest>
using Product = Gemm<T, kHighest, Along::columns, Along::columns,
                     Windows<typename T::Number, Gradient<typename T::Number>>, PhaseWeights>;

// The sums of dz and dz * (x - mean) over a tile's pixels.
template <class T, class E>
__device__ void write_sums(const Dgrad<typename T::Number>& a, const float (&dx)[E::kValues], Shared<int> pixels,
                           int c) {
  const bool inside = c < a.channels;
  const ChannelNorm norm = channel_norm(a.x_norm, inside ? c : 0);
  float sum = 0.0f, moment = 0.0f;
#pragma unroll
  for (int i = 0; i < E::kValues; ++i) {
    const int pixel = pixels.load(E::row(i));
    if (pixel < 0 || !inside) continue;
    const float x = a.x.load(int64_t(pixel) * a.channels + c), dz = norm.gradient_z(dx[i], x);
    sum += dz;
    moment = fmaf(dz, x - norm.mean, moment);
  }
  sum = E::column_sum(0, sum);
  moment = E::column_sum(1, moment);
  if (E::row(0) > 0 || !inside) return;
  const int64_t part = a.blocks.tile_m();
  a.sums.store(2 * part * a.channels + c, sum);
  a.sums.store((2 * part + 1) * a.channels + c, moment);
}

template <class T, bool kHighest>
__global__ void __launch_bounds__(kGemmThreads, 2) dgrad_kernel(Dgrad<typename T::Number> a) {
  using E = Epilogue<T>;
  using Number = typename T::Number;
  const int number = a.tiles.quotient(a.blocks.tile_m()), number_h = a.phases_w.quotient(number);
  const Phase h(a.vertical, number_h), w(a.horizontal, a.phases_w.remainder(number, number_h));
  const int pixels = a.images * h.pixels * w.pixels, columns = h.taps * w.taps * int(a.filters.d);
  const Windows<Number, Gradient<Number>> dy = {a.dy,           a.outputs_h,    a.outputs_w, 1,         1,
                                                h.first_output, w.first_output, -1,          pixels,    columns,
                                                h.by_pixels,    w.by_pixels,    w.by_taps,   a.filters, a.load};
  const PhaseWeights filter = {
      a.w,         a.channels, a.horizontal.filter, columns, a.vertical.stride, a.horizontal.stride, h.first_tap,
      w.first_tap, w.by_taps,  a.filters,           {}};
  const int first_m = a.tiles.remainder(a.blocks.tile_m(), number) * T::kM, first_n = a.blocks.tile_n() * T::kN;
  float dx[E::kValues];
  E::collect(Product<T, kHighest>::run(dy, filter, first_m, first_n, a.blocks.first(), a.blocks.end(columns)), dx);

  const Shared<int> places = E::rows();  // pixels of x; -1 stands for none
  if (thread() < T::kM) {
    const int i = first_m + thread(), i_w = w.by_pixels.quotient(i), image = h.by_pixels.quotient(i_w);
    const int64_t row = h.first_pixel + a.vertical.stride * h.by_pixels.remainder(i_w, image);
    const int64_t column = w.first_pixel + a.horizontal.stride * w.by_pixels.remainder(i, i_w);
    const int64_t place = (image * int64_t(a.vertical.size) + row) * a.horizontal.size + column;
    places.store(thread(), i < pixels ? int(place) : -1);
  }
  sync();
  const int c = first_n + E::column();
  const int64_t split = block_y() * a.images * a.vertical.size * a.horizontal.size;
#pragma unroll
  for (int i = 0; i < E::kValues; ++i) {
    const int pixel = places.load(E::row(i));
    const bool inside = pixel >= 0 && c < a.channels;
    if (a.parts) {
      if (inside) a.parts.store((split + pixel) * a.channels + c, dx[i]);
    } else {
      dx[i] = Number(dx[i]);  // sums are of what memory has
      if (inside) a.dx.store(int64_t(pixel) * a.channels + c, dx[i]);
    }
  }
  if (a.sums) write_sums<T, E>(a, dx, places, c);
}

// How the phases are cut, with the largest as the measure of all.
struct Phases {
  Axis vertical, horizontal;
  int64_t count;
  Cut cut;

  // Only dense layers are split, see fprop.cu.
  Phases(const Conv2DGeometry& g, bool x_gradients)
      : vertical(g.h, g.r, g.stride_h, g.pad_top),
        horizontal(g.w, g.s, g.stride_w, g.pad_left),
        count(vertical.phases() * horizontal.phases()),
        cut(g.n * vertical.most_pixels * horizontal.most_pixels, g.c,
            int64_t(vertical.most_taps) * horizontal.most_taps * g.k, in_fours(g), is_dense(g) && !x_gradients, count) {
  }

  size_t workspace_bytes(const Conv2DGeometry& g, bool x_gradients) const {
    const int64_t partials = cut.splits > 1 ? cut.splits * g.n * g.h * g.w * g.c : 0;
    return sizeof(float) * (x_gradients ? 2 * cut.tiles_m * g.c : partials);
  }
};

}  // namespace

size_t dgrad_workspace_bytes(const Conv2DGeometry& g, bool x_gradients) {
  return Phases(g, x_gradients).workspace_bytes(g, x_gradients);
}

template <class Number>
void dgrad(const Conv2DGeometry& g, const Conv2DBackwardOf<Number>& a, Precision precision, float* workspace,
           void* stream) {
  check_limits(g);
  const Phases phases(g, a.x_gradients);
  const Cut& cut = phases.cut;
  const int64_t x_floats = g.n * g.h * g.w * g.c, parts = cut.tiles_m;
  const bool split = cut.splits > 1;
  const Dgrad<Number> arguments = {global(a.dy, g.n * g.p * g.q * g.k),
                                   global(a.x_gradients ? a.x.data : nullptr, x_floats),
                                   global(a.w, g.r * g.s * g.c * g.k),
                                   global(a.dx, x_floats),
                                   global(split ? workspace : nullptr, cut.splits * x_floats),
                                   global(a.x_gradients ? workspace : nullptr, 2 * parts * g.c),
                                   int(g.n),
                                   int(g.p),
                                   int(g.q),
                                   int(g.c),
                                   phases.vertical,
                                   phases.horizontal,
                                   Divisor(parts / phases.count),
                                   Divisor(phases.horizontal.phases()),
                                   Divisor(g.k),
                                   gradient_of(g, a),
                                   norm(a.x_gradients ? a.x.norm : nullptr, g.c),
                                   cut.blocks()};
  const bool vectors = in_fours(g) && on_vectors(a.dy, a.w, a.y_norm ? a.y : nullptr);
  with_tile<Number>(cut, vectors, precision, [&](auto tile, auto highest) {
    using T = decltype(tile);
    const int bytes = shared_bytes<Product<T, highest>, T>(arguments.load.arrays(), 1);
    launch("conv2d_dgrad", dgrad_kernel<T, highest>, cut.grid(), kGemmThreads, bytes, Stream(stream), arguments);
  });
  if (split) add_partials("conv2d_dgrad_add", {workspace, cut.splits, x_floats, 0}, nullptr, 1, a.dx, nullptr, stream);
  if (a.x_gradients)
    batchnorm_finish_gradients(workspace, parts, g.n * g.h * g.w, g.c, a.x.norm->rstd, a.x.norm->gamma, *a.x_gradients,
                               stream);
}

template void dgrad(const Conv2DGeometry&, const Conv2DBackwardOf<float>&, Precision, float*, void*);
template void dgrad(const Conv2DGeometry&, const Conv2DBackwardOf<BFloat16>&, Precision, float*, void*);

}  // namespace fastconv::cuda
