// Batch normalization's sweeps over ranges of rows. Built once per instruction set. Bound by memory.
//
// Rows are swept in lines: several rows side by side where there are few channels, so that a line is whole vectors for
// any channel count (3 channels: 32 rows, 6 vectors of 16), else one row or kBatchNormColumns channels of it. What a
// kernel knows per channel it keeps per column of the line, in tables.
#include "batchnorm/batchnorm.h"
#include "common/simd.h"

namespace fastconv::FASTCONV_ISA {
namespace {

// Vectors of columns swept together: the 5 tables of backward and 4 vectors take 20 of 32 registers, so 2 where there
// are 16.
constexpr int kGroup = 4, kBackwardGroup = FASTCONV_TARGET == 3 || FASTCONV_TARGET == 1 ? 4 : 2;
constexpr int64_t kMaxFoldedWidth = 512;

// A block is what statistics look at twice: 16 KiB of x, half of a level-1 cache, and rows enough to pay for the merge.
constexpr int64_t kBlockFloats = 4096, kMinBlockLines = 16;

// Lines are swept in strips, so that memory is read nearly in order and at most 16 numbers are added up in one float
// before the sum moves to the table. With one strip a block, 128 and more channels ran at 25 GB/s instead of 35; asking
// for memory 4 KiB ahead made forward 10 to 25% faster where x exceeds the cache and cost nothing where it does not
// (1 thread, AMD EPYC Turin, AVX-512, 32 MB of x, 32 to 1000 channels, 2026).
constexpr int64_t kStripFloats = 256, kAhead = 1024;

struct alignas(64) Table {
  float at[kBatchNormColumns];
};

// How rows become lines: `fold` rows of `channels` channels, a power of two; `pitch` floats from line to line.
struct Lines {
  int64_t all_channels, first_channel, channels, fold, width, pitch, rows_per_block, lines_per_strip;

  Lines(int64_t channels_of_x, int64_t channel_begin, int64_t channel_end) noexcept
      : all_channels(channels_of_x), first_channel(channel_begin), channels(channel_end - channel_begin), fold(1) {
    if (channels == all_channels) {
      int64_t rows = 1;
      while (rows * channels % kLanes != 0 || rows * channels < kGroup * kLanes) rows *= 2;
      if (rows * channels <= kMaxFoldedWidth) fold = rows;
    }
    width = fold * channels;
    pitch = fold == 1 ? all_channels : width;
    const int64_t lines = kBlockFloats / width;
    rows_per_block = fold * (lines > kMinBlockLines ? lines : kMinBlockLines);
    lines_per_strip = width < kStripFloats ? kStripFloats / width : 1;
  }

  // Calls body(offset, lines, width) for rows [begin, end): strips of whole lines, then the rows that fill none.
  template <typename Body>
  void cover(int64_t begin, int64_t end, Body&& body) const noexcept {
    const int64_t row_pitch = pitch / fold, lines = (end - begin) / fold, rest = (end - begin) % fold;
    const int64_t offset = begin * row_pitch + first_channel;
    for (int64_t line = 0; line < lines; line += lines_per_strip)
      body(offset + line * pitch, line + lines_per_strip < lines ? lines_per_strip : lines - line, width);
    if (rest > 0) body(offset + lines * pitch, int64_t(1), rest * channels);
  }

  // Calls body(begin, end) for the blocks of rows [row_begin, row_end).
  template <typename Body>
  void blocks(int64_t row_begin, int64_t row_end, Body&& body) const noexcept {
    for (int64_t row = row_begin; row < row_end; row += rows_per_block)
      body(row, row + rows_per_block < row_end ? row + rows_per_block : row_end);
  }

  // A table with one row of channels becomes one with a line of them.
  void spread(Table& table) const noexcept {
    float* t = table.at;
    for (int64_t filled = channels; filled < width; filled *= 2)
#pragma GCC ivdep
      for (int64_t i = 0; i < filled; ++i) t[filled + i] = t[i];
  }

  // The sums of a line's columns become those of its channels, in the first row of the table.
  void gather(Table& table) const noexcept {
    float* t = table.at;
    for (int64_t half = width / 2; half >= channels; half /= 2)
#pragma GCC ivdep
      for (int64_t i = 0; i < half; ++i) t[i] += t[half + i];
  }
};

void clear(Table& table, int64_t width) noexcept {
  for (int64_t i = 0; i < width; ++i) table.at[i] = 0.0f;
}

template <int kVectors, bool kPartial>
struct Group {
  static constexpr int vectors = kVectors;
  static constexpr bool partial = kPartial;
};

// Calls body(group, column, lanes) for vectors that cover `width` columns; a partial vector has `lanes` lanes.
template <int kVectors, typename Body>
inline void for_each_group(int64_t width, Body&& body) noexcept {
  int64_t column = 0;
  for (; column + kVectors * kLanes <= width; column += kVectors * kLanes)
    body(Group<kVectors, false>(), column, kLanes);
  if constexpr (kVectors > 2) {
    if (column + 2 * kLanes <= width) {
      body(Group<2, false>(), column, kLanes);
      column += 2 * kLanes;
    }
  }
  for (; column + kLanes <= width; column += kLanes) body(Group<1, false>(), column, kLanes);
  if (column < width) body(Group<1, true>(), column, int(width - column));
}

template <typename G>
inline f32v get(G, const float* p, int lanes) noexcept {
  return G::partial ? load_partial(p, lanes) : load(p);
}

// get, and a request for the cache line that is read kAhead floats later.
template <typename G>
inline f32v stream(G group, const float* p, int v, int lanes) noexcept {
  if (v * kLanes % 16 == 0) __builtin_prefetch(p + v * kLanes + kAhead);
  return get(group, p + v * kLanes, lanes);
}

template <typename G>
inline void put(G, float* p, f32v v, int lanes) noexcept {
  if (G::partial)
    store_partial(p, v, lanes);
  else
    store(p, v);
}

template <typename G>
inline void get_all(G group, f32v (&to)[G::vectors], const float* p, int lanes) noexcept {
  for (int v = 0; v < G::vectors; ++v) to[v] = get(group, p + v * kLanes, lanes);
}

template <typename G>
inline void add_all(G group, float* p, const f32v (&from)[G::vectors], int lanes) noexcept {
  for (int v = 0; v < G::vectors; ++v)
    put(group, p + v * kLanes, add(get(group, p + v * kLanes, lanes), from[v]), lanes);
}

template <int kVectors>
inline void clear(f32v (&v)[kVectors]) noexcept {
  for (int i = 0; i < kVectors; ++i) v[i] = zero();
}

enum class Activation { none, relu, leaky };

// z is never formed in another way: where forward and backward disagreed about its sign, dx would be wrong.
inline f32v transformed(f32v centered, f32v scale, f32v beta) noexcept { return fma(centered, scale, beta); }

template <Activation kActivation>
inline f32v activated(f32v z, f32v slope) noexcept {
  if (kActivation == Activation::none) return z;
  if (kActivation == Activation::relu) return max(zero(), z);  // 0 * -Inf would be NaN; max returns z where it is NaN
  return where_positive(z, z, mul(z, slope));
}

template <Activation kActivation>
inline f32v activation_gradient(f32v dy, f32v z, f32v slope) noexcept {
  return kActivation == Activation::none ? dy : where_positive(z, dy, mul(dy, slope));
}

void fill(const Lines& lines, const float* values, float otherwise, Table& table) noexcept {
  for (int64_t c = 0; c < lines.channels; ++c) table.at[c] = values ? values[lines.first_channel + c] : otherwise;
  lines.spread(table);
}

void fill_scale(const Lines& lines, const BatchNormTransform& t, Table& table) noexcept {
  const int64_t first = lines.first_channel;
  for (int64_t c = 0; c < lines.channels; ++c) table.at[c] = t.gamma ? t.gamma[first + c] : 1.0f;
  if (t.rstd)
    for (int64_t c = 0; c < lines.channels; ++c) table.at[c] *= t.rstd[first + c];
  else
    for (int64_t c = 0; c < lines.channels; ++c)
      table.at[c] *= float(1.0 / __builtin_sqrt(double(t.variance[first + c]) + t.epsilon));
  lines.spread(table);
}

struct Tables {
  Table mean, scale, beta;

  Tables(const Lines& lines, const BatchNormTransform& t) noexcept {
    fill(lines, t.mean, 0.0f, mean);
    fill(lines, t.beta, 0.0f, beta);
    fill_scale(lines, t, scale);
  }
};

// sum[column] += x over the lines.
inline void add_lines(const float* x, int64_t lines, int64_t pitch, int64_t width, float* sum) noexcept {
  for_each_group<kGroup>(width, [&](auto group, int64_t column, int lanes) {
    f32v s[group.vectors];
    clear(s);
    const float* from = x + column;
    for (int64_t line = 0; line < lines; ++line, from += pitch)
      for (int v = 0; v < group.vectors; ++v) s[v] = add(s[v], stream(group, from, v, lanes));
    add_all(group, sum + column, s, lanes);
  });
}

// first[column] += d and second[column] += d * d over the lines, d = x - pivot.
inline void add_moments(const float* x, int64_t lines, int64_t pitch, int64_t width, const float* pivot, float* first,
                        float* second) noexcept {
  for_each_group<kGroup>(width, [&](auto group, int64_t column, int lanes) {
    f32v p[group.vectors], s1[group.vectors], s2[group.vectors];
    get_all(group, p, pivot + column, lanes);
    clear(s1);
    clear(s2);
    const float* from = x + column;
    for (int64_t line = 0; line < lines; ++line, from += pitch) {
      for (int v = 0; v < group.vectors; ++v) {
        const f32v d = sub(get(group, from + v * kLanes, lanes), p[v]);
        s1[v] = add(s1[v], d);
        s2[v] = fma(d, d, s2[v]);
      }
    }
    add_all(group, first + column, s1, lanes);
    add_all(group, second + column, s2, lanes);
  });
}

template <Activation kActivation>
void forward_apply(const float* x, const Lines& lines, const Tables& tables, float slope, float* y,
                   const BatchNormBands& bands) noexcept {
  const f32v vslope = broadcast(slope);
  const auto sweep = [&](int64_t offset, int64_t count, int64_t width) {
    for_each_group<kGroup>(width, [&](auto group, int64_t column, int lanes) {
      f32v mean[group.vectors], scale[group.vectors], beta[group.vectors];
      get_all(group, mean, tables.mean.at + column, lanes);
      get_all(group, scale, tables.scale.at + column, lanes);
      get_all(group, beta, tables.beta.at + column, lanes);
      const float* from = x + offset + column;
      float* to = y + offset + column;
      for (int64_t line = 0; line < count; ++line, from += lines.pitch, to += lines.pitch) {
        for (int v = 0; v < group.vectors; ++v) {
          const f32v centered = sub(stream(group, from, v, lanes), mean[v]);
          put(group, to + v * kLanes, activated<kActivation>(transformed(centered, scale[v], beta[v]), vslope), lanes);
        }
      }
    });
  };
  for (int64_t band = 0; band < bands.count; ++band, x += bands.rows * lines.all_channels, y += bands.pitch)
    lines.blocks(0, bands.rows, [&](int64_t begin, int64_t end) { lines.cover(begin, end, sweep); });
}

template <Activation kActivation>
void backward_sums(const float* dy, const float* x, const Lines& lines, const Tables& tables, float slope,
                   const BatchNormRange& range, double* dbeta, double* moment, float* dz_out) noexcept {
  const f32v vslope = broadcast(slope);
  Table first, second;
  const auto sweep = [&](int64_t offset, int64_t count, int64_t width) {
    for_each_group<kBackwardGroup>(width, [&](auto group, int64_t column, int lanes) {
      f32v mean[group.vectors], scale[group.vectors], beta[group.vectors], s1[group.vectors], s2[group.vectors];
      get_all(group, mean, tables.mean.at + column, lanes);
      get_all(group, scale, tables.scale.at + column, lanes);
      get_all(group, beta, tables.beta.at + column, lanes);
      clear(s1);
      clear(s2);
      const float *from = x + offset + column, *gradient = dy + offset + column;
      for (int64_t line = 0; line < count; ++line, from += lines.pitch, gradient += lines.pitch) {
        for (int v = 0; v < group.vectors; ++v) {
          const f32v centered = sub(stream(group, from, v, lanes), mean[v]);
          const f32v z = transformed(centered, scale[v], beta[v]);
          const f32v dz = activation_gradient<kActivation>(stream(group, gradient, v, lanes), z, vslope);
          s1[v] = add(s1[v], dz);
          s2[v] = fma(dz, centered, s2[v]);
          if (dz_out) put(group, dz_out + (gradient - dy) + v * kLanes, dz, lanes);
        }
      }
      add_all(group, first.at + column, s1, lanes);
      add_all(group, second.at + column, s2, lanes);
    });
  };
  lines.blocks(range.row_begin, range.row_end, [&](int64_t begin, int64_t end) {
    clear(first, lines.width);
    clear(second, lines.width);
    lines.cover(begin, end, sweep);
    lines.gather(first);
    lines.gather(second);
    for (int64_t c = 0; c < lines.channels; ++c) {
      dbeta[c] += first.at[c];
      moment[c] += second.at[c];
    }
  });
}

template <Activation kActivation>
void backward_apply(const float* dy, const float* x, const Lines& lines, const Tables& tables, const Table& slope_x,
                    const Table& offset, float slope, float* dx, const BatchNormBands& bands) noexcept {
  const f32v vslope = broadcast(slope);
  const auto sweep = [&](int64_t start, int64_t count, int64_t width) {
    for_each_group<kBackwardGroup>(width, [&](auto group, int64_t column, int lanes) {
      f32v mean[group.vectors], scale[group.vectors], beta[group.vectors], a[group.vectors], b[group.vectors];
      get_all(group, mean, tables.mean.at + column, lanes);
      get_all(group, scale, tables.scale.at + column, lanes);
      get_all(group, beta, tables.beta.at + column, lanes);
      get_all(group, a, slope_x.at + column, lanes);
      get_all(group, b, offset.at + column, lanes);
      const float *from = x + start + column, *gradient = dy + start + column;
      float* to = dx + start + column;
      for (int64_t line = 0; line < count; ++line, from += lines.pitch, gradient += lines.pitch, to += lines.pitch) {
        for (int v = 0; v < group.vectors; ++v) {
          const f32v centered = sub(stream(group, from, v, lanes), mean[v]);
          const f32v z = transformed(centered, scale[v], beta[v]);
          const f32v dz = activation_gradient<kActivation>(stream(group, gradient, v, lanes), z, vslope);
          put(group, to + v * kLanes, fma(scale[v], dz, fma(centered, a[v], b[v])), lanes);
        }
      }
    });
  };
  const int64_t band_floats = bands.rows * lines.all_channels;
  for (int64_t band = 0; band < bands.count; ++band, x += band_floats, dy += band_floats, dx += bands.pitch)
    lines.blocks(0, bands.rows, [&](int64_t begin, int64_t end) { lines.cover(begin, end, sweep); });
}

// Calls body(lines) for all channels, kBatchNormColumns at a time.
template <typename Body>
inline void for_each_columns(int64_t channels, Body&& body) noexcept {
  for (int64_t c = 0; c < channels; c += kBatchNormColumns)
    body(Lines(channels, c, c + kBatchNormColumns < channels ? c + kBatchNormColumns : channels));
}

}  // namespace

void batchnorm_forward_sums_range(const float* x, int64_t channels, const BatchNormRange& range, double* mean,
                                  double* m2) noexcept {
  const Lines lines(channels, range.channel_begin, range.channel_end);
  Table pivot, first, second;
  double count = 0.0;
  mean += range.channel_begin;
  m2 += range.channel_begin;
  for (int64_t c = 0; c < lines.channels; ++c) mean[c] = m2[c] = 0.0;
  lines.blocks(range.row_begin, range.row_end, [&](int64_t begin, int64_t end) {
    const double rows = double(end - begin);
    clear(pivot, lines.width);
    lines.cover(begin, end, [&](int64_t offset, int64_t lines_here, int64_t width) {
      add_lines(x + offset, lines_here, lines.pitch, width, pivot.at);
    });
    lines.gather(pivot);
    const float per_row = float(1.0 / rows);
    for (int64_t c = 0; c < lines.channels; ++c) pivot.at[c] *= per_row;
    lines.spread(pivot);
    clear(first, lines.width);
    clear(second, lines.width);
    lines.cover(begin, end, [&](int64_t offset, int64_t lines_here, int64_t width) {
      add_moments(x + offset, lines_here, lines.pitch, width, pivot.at, first.at, second.at);
    });
    lines.gather(first);
    lines.gather(second);
    const double weight = rows / (count + rows), cross = count * weight, per_row_exact = 1.0 / rows;
    for (int64_t c = 0; c < lines.channels; ++c) {
      const double moment = first.at[c], correction = moment * per_row_exact;
      const double block_m2 = second.at[c] - moment * correction;
      const double delta = pivot.at[c] + correction - mean[c];
      mean[c] += delta * weight;
      m2[c] += (block_m2 < 0.0 ? 0.0 : block_m2) + delta * delta * cross;
    }
    count += rows;
  });
}

void batchnorm_forward_apply_bands(const float* x, int64_t channels, const BatchNormTransform& t, float* y,
                                   const BatchNormBands& bands) noexcept {
  for_each_columns(channels, [&](const Lines& lines) {
    const Tables tables(lines, t);
    if (t.slope == 1.0f)
      forward_apply<Activation::none>(x, lines, tables, t.slope, y, bands);
    else if (t.slope == 0.0f)
      forward_apply<Activation::relu>(x, lines, tables, t.slope, y, bands);
    else
      forward_apply<Activation::leaky>(x, lines, tables, t.slope, y, bands);
  });
}

void batchnorm_backward_sums_range(const float* dy, const float* x, int64_t channels, const BatchNormTransform& t,
                                   const BatchNormRange& range, double* dbeta, double* moment, float* dz) noexcept {
  const Lines lines(channels, range.channel_begin, range.channel_end);
  const Tables tables(lines, t);
  dbeta += range.channel_begin;
  moment += range.channel_begin;
  for (int64_t c = 0; c < lines.channels; ++c) dbeta[c] = moment[c] = 0.0;
  const auto sums = t.slope == 1.0f ? backward_sums<Activation::none> : backward_sums<Activation::leaky>;
  sums(dy, x, lines, tables, t.slope, range, dbeta, moment, dz);
}

void batchnorm_backward_apply_bands(const float* dy, const float* x, int64_t channels, const BatchNormTransform& t,
                                    const float* slope_x, const float* offset, float* dx,
                                    const BatchNormBands& bands) noexcept {
  for_each_columns(channels, [&](const Lines& lines) {
    const Tables tables(lines, t);
    Table a, b;
    fill(lines, slope_x, 0.0f, a);
    fill(lines, offset, 0.0f, b);
    if (t.slope == 1.0f)
      backward_apply<Activation::none>(dy, x, lines, tables, a, b, t.slope, dx, bands);
    else
      backward_apply<Activation::leaky>(dy, x, lines, tables, a, b, t.slope, dx, bands);
  });
}

}  // namespace fastconv::FASTCONV_ISA
