// Batch normalization on the GPU: sums of parts of the rows, which statistics.cu finishes, then one pass that applies
// them. A part's tiles are read once: their mean and the moments around it are taken from registers.
#include "batchnorm/batchnorm.cuh"

namespace fastconv::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;
constexpr int kRows = 8;                       // of a thread in a tile, all on their way from memory at once
constexpr int kBlocks = 4;                     // of a multiprocessor at once: 64 registers a thread
constexpr int64_t kMostParts = 132 * kBlocks;  // for every group of channels: as many as run at once on an H100

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Blocks take tiles of x: 2^shift channels side by side, by the rows that its threads then have kRows of.
struct Tiling {
  int64_t rows, channels;
  int shift;

  __host__ __device__ int columns() const { return 1 << shift; }
  __host__ __device__ int row_step() const { return kThreads >> shift; }
  __host__ __device__ int64_t tile_rows() const { return kRows * row_step(); }
  __device__ int64_t channel() const { return block_y() * columns() + thread() % columns(); }

  // Calls body(k, index) for this thread's rows of the tile at `first_row`, k < kRows. The thread has a channel.
  template <typename Body>
  __device__ void for_each_row(int64_t first_row, Body&& body) const {
    const int64_t row = first_row + (thread() >> shift), index = row * channels + channel();
    const int left = int(rows - row < tile_rows() ? rows - row : tile_rows());
    const int step = row_step() * int(channels);  // a grid's limit keeps the channels below 2^21
#pragma unroll
    for (int k = 0; k < kRows; ++k)
      if (k * row_step() < left) body(k, index + k * step);
  }
};

Tiling tiling(int64_t rows, int64_t channels) {
  int shift = 0;
  while ((1 << shift) < kWarp && (1 << shift) < channels) ++shift;
  return {rows, channels, shift};
}

Grid tiles(const Tiling& t) { return {ceil_div(t.rows, t.tile_rows()), ceil_div(t.channels, t.columns())}; }

// Cut by shape alone: whole tiles.
int64_t rows_per_part(const Tiling& t) {
  const Grid all = tiles(t);
  const int64_t most = all.y < kMostParts ? kMostParts / all.y : 1;
  return ceil_div(all.x, most) * t.tile_rows();
}

int64_t part_count(const Tiling& t) { return ceil_div(t.rows, rows_per_part(t)); }

// The sums of `values` over the threads of a channel; every thread gets those of its own. `place` has kSums * kThreads
// numbers that no thread reads any more.
template <typename T, int kSums>
__device__ void sum_columns(const Tiling& t, T (&values)[kSums], Shared<T> place) {
  const int column = thread() % t.columns();
  for (int i = 0; i < kSums; ++i) {
    for (int mask = t.columns(); mask < kWarp; mask *= 2) values[i] += shfl_xor(values[i], mask);
    if (lane() < t.columns()) place.store((warp() * kSums + i) * kWarp + column, values[i]);
  }
  sync();
  for (int i = 0; i < kSums; ++i) {
    values[i] = T(0);
    for (int w = 0; w < kWarps; ++w) values[i] += place.load((w * kSums + i) * kWarp + column);
  }
}

__device__ void store_partials(const Tiling& t, Global<float> partials, double first, double second) {
  if (thread() >= t.columns() || t.channel() >= t.channels) return;
  partials.store(2 * block_x() * t.channels + t.channel(), float(first));
  partials.store((2 * block_x() + 1) * t.channels + t.channel(), float(second));
}

// What a channel's means are stored less of, so that no digits go where they are large: more than bfloat16 has.
__device__ double origin_of(Global<const float> x, int64_t c) { return x.load(c); }
__device__ double origin_of(Global<const BFloat16>, int64_t) { return 0.0; }
const float* origin_of(const float* x) { return x; }
const float* origin_of(const BFloat16*) { return nullptr; }

template <class Number>
__global__ void __launch_bounds__(kThreads, kBlocks)
    statistics_kernel(Tiling t, int64_t part_rows, Global<const Number> x, Global<float> partials) {
  const Shared<float> sums = shared<float>(0, kThreads);
  const Shared<float> moments = shared<float>(kThreads * sizeof(float), 2 * kThreads);
  const bool inside = t.channel() < t.channels;
  const int64_t begin = block_x() * part_rows, end = begin + part_rows < t.rows ? begin + part_rows : t.rows;
  double mean = 0.0, m2 = 0.0;
  for (int64_t row = begin; row < end; row += t.tile_rows()) {
    const float rows = float(end - row < t.tile_rows() ? end - row : t.tile_rows());
    float v[kRows], sum[1] = {0.0f}, moment[2] = {0.0f, 0.0f};
    if (inside) t.for_each_row(row, [&](int k, int64_t i) { v[k] = x.load(i); });
    if (inside) t.for_each_row(row, [&](int k, int64_t) { sum[0] += v[k]; });
    sum_columns(t, sum, sums);
    const float pivot = sum[0] / rows;
    const auto add = [&](int k, int64_t) {
      const float d = v[k] - pivot;
      moment[0] += d;
      moment[1] = fmaf(d, d, moment[1]);
    };
    if (inside) t.for_each_row(row, add);
    sum_columns(t, moment, moments);
    if (thread() >= t.columns()) continue;
    const double before = double(row - begin), weight = rows / (before + rows), correction = double(moment[0]) / rows;
    const double tile_m2 = moment[1] - moment[0] * correction, delta = pivot + correction - mean;
    mean += delta * weight;
    m2 += (tile_m2 < 0.0 ? 0.0 : tile_m2) + delta * delta * before * weight;
  }
  store_partials(t, partials, inside ? mean - origin_of(x, t.channel()) : 0.0, m2);
}

template <class Number>
__global__ void __launch_bounds__(kThreads, kBlocks)
    gradient_sums_kernel(Tiling t, int64_t part_rows, Global<const Number> dy, Global<const Number> x, Norm norm,
                         Global<float> partials) {
  const bool inside = t.channel() < t.channels;
  const ChannelNorm n = inside ? channel_norm(norm, t.channel()) : ChannelNorm{};
  const int64_t begin = block_x() * part_rows, end = begin + part_rows < t.rows ? begin + part_rows : t.rows;
  double sums[2] = {0.0, 0.0};
  for (int64_t row = begin; inside && row < end; row += t.tile_rows()) {
    float gradient[kRows], v[kRows], dbeta = 0.0f, moment = 0.0f;
    t.for_each_row(row, [&](int k, int64_t i) {
      gradient[k] = dy.load(i);
      v[k] = x.load(i);
    });
    t.for_each_row(row, [&](int k, int64_t) {
      const float dz = n.gradient_z(gradient[k], v[k]);
      dbeta += dz;
      moment = fmaf(dz, v[k] - n.mean, moment);
    });
    sums[0] += dbeta;
    sums[1] += moment;
  }
  sum_columns(t, sums, shared<double>(0, 2 * kThreads));
  store_partials(t, partials, sums[0], sums[1]);
}

// y may be x: a thread has read its numbers before it writes the first.
template <class Number>
__device__ void apply_tile(const Tiling& t, const ChannelNorm& n, Global<const Number> x, Global<Number> y) {
  const int64_t row = block_x() * t.tile_rows();
  float v[kRows];
  t.for_each_row(row, [&](int k, int64_t i) { v[k] = x.load(i); });
  t.for_each_row(row, [&](int k, int64_t i) { y.store(i, n.apply(v[k])); });
}

template <class Number>
__global__ void __launch_bounds__(kThreads, kBlocks)
    apply_kernel(Tiling t, Global<const Number> x, Norm norm, Global<Number> y) {
  if (t.channel() < t.channels) apply_tile(t, channel_norm(norm, t.channel()), x, y);
}

template <class Number>
__global__ void __launch_bounds__(kThreads, kBlocks)
    inference_kernel(Tiling t, Global<const Number> x, Norm norm, Global<const float> variance, float epsilon,
                     Global<Number> y) {
  const int64_t c = t.channel();
  if (c < t.channels) apply_tile(t, channel_norm(norm, c, 1.0f / sqrtf(variance.load(c) + epsilon)), x, y);
}

template <class Number>
__global__ void __launch_bounds__(kThreads, kBlocks)
    gradient_kernel(Tiling t, Global<const Number> dy, Global<const Number> x, Norm norm, Global<const float> slope_x,
                    Global<const float> offset, Global<Number> dx) {
  const int64_t c = t.channel(), row = block_x() * t.tile_rows();
  if (c >= t.channels) return;
  const ChannelNorm n = channel_norm(norm, c);
  const float slope = slope_x.load(c), constant = offset.load(c);
  float gradient[kRows], v[kRows];
  t.for_each_row(row, [&](int k, int64_t i) {
    gradient[k] = dy.load(i);
    v[k] = x.load(i);
  });
  t.for_each_row(row, [&](int k, int64_t i) {
    dx.store(i, fmaf(n.scale, n.gradient_z(gradient[k], v[k]), fmaf(v[k] - n.mean, slope, constant)));
  });
}

}  // namespace

size_t batchnorm_workspace_bytes(int64_t rows, int64_t channels) {
  return size_t(2 * part_count(tiling(rows, channels)) * channels) * sizeof(float);
}

template <class Number>
void batchnorm_forward(int64_t rows, int64_t channels, const Number* x, const float* gamma, const float* beta,
                       Number* y, const BatchNormStatistics& statistics, float slope, float* workspace, void* stream) {
  const Tiling t = tiling(rows, channels);
  const int64_t parts = part_count(t);
  launch("batchnorm_statistics", statistics_kernel<Number>, {parts, tiles(t).y}, kThreads,
         3 * kThreads * int(sizeof(float)), Stream(stream), t, rows_per_part(t), global(x, rows * channels),
         global(workspace, 2 * parts * channels));
  batchnorm_finish_statistics(workspace, origin_of(x), parts, rows_per_part(t), rows, channels, statistics, stream);
  batchnorm_apply(rows, channels, x, statistics.mean, statistics.rstd, gamma, beta, y, slope, stream);
}

template <class Number>
void batchnorm_apply(int64_t rows, int64_t channels, const Number* x, const float* mean, const float* rstd,
                     const float* gamma, const float* beta, Number* y, float slope, void* stream) {
  const Tiling t = tiling(rows, channels);
  const BatchNormTransform transform = {mean, rstd, nullptr, gamma, beta, 0.0, slope};
  launch("batchnorm_apply", apply_kernel<Number>, tiles(t), kThreads, 0, Stream(stream), t, global(x, rows * channels),
         norm(&transform, channels), global(y, rows * channels));
}

template <class Number>
void batchnorm_inference(int64_t rows, int64_t channels, const Number* x, const float* gamma, const float* beta,
                         const float* moving_mean, const float* moving_variance, Number* y, double epsilon, float slope,
                         void* stream) {
  const Tiling t = tiling(rows, channels);
  const BatchNormTransform transform = {moving_mean, nullptr, moving_variance, gamma, beta, epsilon, slope};
  launch("batchnorm_inference", inference_kernel<Number>, tiles(t), kThreads, 0, Stream(stream), t,
         global(x, rows * channels), norm(&transform, channels), global(moving_variance, channels), float(epsilon),
         global(y, rows * channels));
}

template <class Number>
void batchnorm_backward(int64_t rows, int64_t channels, const Number* dy, const Number* x, const float* gamma,
                        const float* beta, const float* mean, const float* rstd, Number* dx,
                        const BatchNormGradients& gradients, float slope, float* workspace, void* stream) {
  const Tiling t = tiling(rows, channels);
  const int64_t parts = part_count(t), count = rows * channels;
  const BatchNormTransform transform = {mean, rstd, nullptr, gamma, beta, 0.0, slope};
  launch("batchnorm_gradient_sums", gradient_sums_kernel<Number>, {parts, tiles(t).y}, kThreads,
         2 * kThreads * int(sizeof(double)), Stream(stream), t, rows_per_part(t), global(dy, count), global(x, count),
         norm(&transform, channels), global(workspace, 2 * parts * channels));
  batchnorm_finish_gradients(workspace, parts, rows, channels, rstd, gamma, gradients, stream);
  if (!dx) return;
  launch("batchnorm_gradient", gradient_kernel<Number>, tiles(t), kThreads, 0, Stream(stream), t, global(dy, count),
         global(x, count), norm(&transform, channels), global<const float>(gradients.slope_x, channels),
         global<const float>(gradients.offset, channels), global(dx, count));
}

#define FASTCONV_INSTANTIATE(Number)                                                                              \
  template void batchnorm_forward(int64_t, int64_t, const Number*, const float*, const float*, Number*,           \
                                  const BatchNormStatistics&, float, float*, void*);                              \
  template void batchnorm_apply(int64_t, int64_t, const Number*, const float*, const float*, const float*,        \
                                const float*, Number*, float, void*);                                             \
  template void batchnorm_inference(int64_t, int64_t, const Number*, const float*, const float*, const float*,    \
                                    const float*, Number*, double, float, void*);                                 \
  template void batchnorm_backward(int64_t, int64_t, const Number*, const Number*, const float*, const float*,    \
                                   const float*, const float*, Number*, const BatchNormGradients&, float, float*, \
                                   void*)
FASTCONV_INSTANTIATE(float);
FASTCONV_INSTANTIATE(BFloat16);

}  // namespace fastconv::cuda
