// How both gradients of a convolution are cut into blocks of one kernel (joint.cu): by shape alone.
//
// A tile is a band of rows of an image of x, with 16 of its channels, and the pixels of dy that meet it. Each number of x is
// in one tile; neighbouring bands share some rows of dy, and tiles of other channels all of them. Pixels of x lie by phase
// of the stride: those of a phase meet the same taps of the filter, and what a tap meets of dy is as far from each.
#pragma once
#include <optional>

#include "conv2d/cut.cuh"

namespace fastconv::cuda {

struct JointCut {
  static constexpr int kThreads = 256, kWarps = kThreads / kWarp;
  static constexpr int kMmaK = 8;                  // of TF32
  static constexpr int kChannels = 16;             // of x, in a tile
  static constexpr int kPixels = 16;               // of a phase, whose dx a warp computes at a time
  static constexpr int kFilters = 32, kItems = 3;  // of a tap, whose dw is an item of a warp; items in its registers
  static constexpr int kMostTaps = kItems * kWarps, kMostFilters = 128, kMostPhases = 16, kMostEntries = 64;
  static constexpr int kMostBytes = 99 * 1024;  // of shared memory: what all architectures of cuda.cmake have
  static constexpr int kPitchX = kChannels + 8, kMoreW = 4;  // no bank conflicts: see joint.cu

  // Entry of the filter (r * S + s), its phase, and how far after a pixel's place in dy lies the one that it meets.
  struct Tap {
    int16_t entry, phase, offset;
  };

  // Of the convolution that made x and whose weight gradient is summed beside. A row of its input is one of numbers.
  struct Source {
    int h, row, pad_h, pad_row;  // of an image
    int stride_h, stride_row;    // from a pixel of x to the next
    int rows, pitch;             // in a tile, with padding
    int entries, run;            // of a filter, and those of one of its rows
    int parts;                   // warps that share an item of kMmaM entries
    Divisor by_pitch, by_run, by_items;
  };

  int h, w, c, k, p, q, stride_h, stride_w;
  int tiles, slices, blocks;          // slices: of 16 channels. blocks: of a slice, which share out its tiles
  int rows, columns, pixels;          // of a phase, in a tile; pixels: rounded up to kPixels
  int outputs_h, outputs_w, outputs;  // of dy, in a tile
  int first_h, first_w, more_h;       // the first, from a tile's first pixel over the stride; rows more than of pixels
  int phases, taps, filters;          // filters: rounded up to a power of two, at least kFilters
  Divisor by_bands, by_slices, by_pixels, by_columns, by_outputs_w, by_phases_w, by_chunks;
  int first_tap[kMostPhases + 1];
  Tap tap[kMostTaps];  // in order of phases
  Source source;       // without entries where there is none

  // Shared memory, in floats: dy and a pixel of zeros, w, x, the batch normalization of its channels, each pixel's place in
  // dy; for the source dz, each pixel's place in the input, the input.
  __host__ __device__ int pitch_w() const { return filters + kMoreW; }
  __host__ __device__ int slots() const { return phases * pixels; }
  __host__ __device__ int w_at() const { return (outputs + 1) * filters; }
  __host__ __device__ int x_at() const { return w_at() + taps * kChannels * pitch_w(); }
  __host__ __device__ int norms_at() const { return x_at() + slots() * kPitchX; }
  __host__ __device__ int sums_at() const { return norms_at() + 4 * kChannels; }
  __host__ __device__ int places_at() const { return sums_at() + 2 * kChannels * kWarps; }
  __host__ __device__ int dz_at() const { return places_at() + slots(); }
  __host__ __device__ int inputs_at() const { return dz_at() + slots() * kPitchX; }
  __host__ __device__ int input_at() const { return inputs_at() + slots(); }
  // At the end the same memory has the sums of the block's warps.
  int bytes() const {
    constexpr int kEnd = 256, kEndWithSource = 256 + 8 * 640;
    const int tile = source.entries ? input_at() + source.rows * source.pitch : dz_at();
    return int(sizeof(float)) * std::max(tile, source.entries ? kEndWithSource : kEnd);
  }
};

namespace joint {

struct Axis {
  int64_t size, outputs, filter, stride, pad;

  int64_t pixels() const { return ceil_div(size, stride); }               // of a phase
  int64_t first() const { return -((filter - 1 - pad) / stride); }        // output that a phase's first pixel meets
  int64_t more() const { return (stride - 1 + pad) / stride - first(); }  // outputs than pixels of a phase
  bool covered() const { return (outputs - 1) * stride - pad < size; }    // every window begins inside the image
};

inline void add_taps(const Axis& vertical, const Axis& horizontal, JointCut& cut) {
  for (int phase = 0; phase < cut.phases; ++phase) {
    cut.first_tap[phase] = cut.taps;
    const int64_t h = phase / horizontal.stride + vertical.pad, w = phase % horizontal.stride + horizontal.pad;
    for (int64_t r = h % vertical.stride; r < vertical.filter; r += vertical.stride)
      for (int64_t s = w % horizontal.stride; s < horizontal.filter; s += horizontal.stride) {
        const int64_t row = (h - r) / vertical.stride - vertical.first();
        const int64_t column = (w - s) / horizontal.stride - horizontal.first();
        cut.tap[cut.taps++] = {int16_t(r * horizontal.filter + s), int16_t(phase),
                               int16_t(row * cut.outputs_w + column)};
      }
  }
  cut.first_tap[cut.phases] = cut.taps;
}

// A tile of so many rows of a phase. Whether it fits.
inline bool set_rows(const Axis& vertical, const Conv2DGeometry* source, int64_t rows, JointCut& cut) {
  cut.rows = int(rows);
  cut.pixels = int(ceil_div(rows * cut.columns, JointCut::kPixels)) * JointCut::kPixels;
  cut.outputs_h = int(rows + vertical.more());
  cut.outputs = cut.outputs_h * cut.outputs_w;
  if (source) {
    const int64_t rows_of_input = (rows * vertical.stride - 1) * source->stride_h + source->r;
    if (rows_of_input * cut.source.pitch > JointCut::kMostBytes) return false;
    cut.source.rows = int(rows_of_input);
  }
  return cut.bytes() <= JointCut::kMostBytes;
}

inline bool set_source(const Conv2DGeometry& g, JointCut::Source& to) {
  const int64_t pitch = ((g.q - 1) * g.stride_w + g.s) * g.c, entries = g.r * g.s * g.c;
  if (pitch > JointCut::kMostBytes || entries > JointCut::kMostEntries) return false;
  const int64_t items = ceil_div(entries, kMmaM);
  to.h = int(g.h);
  to.row = int(g.w * g.c);
  to.pad_h = int(g.pad_top);
  to.pad_row = int(g.pad_left * g.c);
  to.stride_h = int(g.stride_h);
  to.stride_row = int(g.stride_w * g.c);
  to.pitch = int(pitch);
  to.entries = int(entries);
  to.parts = int(JointCut::kWarps / items);
  to.by_pitch = Divisor(pitch);
  to.by_run = Divisor(g.s * g.c);
  to.by_items = Divisor(items);
  return true;
}

}  // namespace joint

// None where the shape does not fit; `source` may be null. A tile is as large as fits and leaves enough blocks.
inline std::optional<JointCut> joint_cut(const Conv2DGeometry& g, const Conv2DGeometry* source) {
  using joint::Axis;
  constexpr int64_t kFewPixels = 64;                   // of a phase: no tile is cut to fewer for more blocks
  constexpr int64_t kEnough = 128, kMostBlocks = 264;  // as in Cut
  const Axis vertical = {g.h, g.p, g.r, g.stride_h, g.pad_top}, horizontal = {g.w, g.q, g.s, g.stride_w, g.pad_left};
  int64_t filters = JointCut::kFilters;
  while (filters < g.k && filters < JointCut::kMostFilters) filters *= 2;
  const int64_t chunks = filters / JointCut::kFilters, columns = horizontal.pixels();
  if (is_dense(g) || g.k > filters || g.r * g.s * chunks > JointCut::kMostTaps ||
      g.stride_h > JointCut::kMostPhases / g.stride_w || !vertical.covered() || !horizontal.covered())
    return {};

  JointCut cut = {};
  cut.phases = int(g.stride_h * g.stride_w);
  const int64_t most_rows = JointCut::kMostBytes / (int64_t(sizeof(float)) * JointCut::kPitchX * cut.phases * columns);
  if (most_rows == 0 || (source && !joint::set_source(*source, cut.source))) return {};
  cut.filters = int(filters);
  cut.columns = int(columns);
  cut.outputs_w = int(columns + horizontal.more());
  joint::add_taps(vertical, horizontal, cut);
  const int64_t all = vertical.pixels(), slices = ceil_div(g.c, JointCut::kChannels);
  int64_t rows = std::min(all, most_rows);
  const auto halved = [&] { return ceil_div(rows, 2); };
  while (!joint::set_rows(vertical, source, rows, cut)) {
    if (rows == 1) return {};
    rows = halved();
  }
  while (g.n * ceil_div(all, rows) * slices < kEnough && rows > 1 && halved() * columns >= kFewPixels) rows = halved();
  joint::set_rows(vertical, source, rows, cut);

  const int64_t bands = ceil_div(all, rows);
  cut.h = int(g.h);
  cut.w = int(g.w);
  cut.c = int(g.c);
  cut.k = int(g.k);
  cut.p = int(g.p);
  cut.q = int(g.q);
  cut.stride_h = int(g.stride_h);
  cut.stride_w = int(g.stride_w);
  cut.tiles = int(g.n * bands);
  cut.slices = int(slices);
  cut.blocks = int(std::min(g.n * bands, std::max<int64_t>(kMostBlocks / slices, 1)));
  cut.first_h = int(vertical.first());
  cut.first_w = int(horizontal.first());
  cut.more_h = int(vertical.more());
  cut.by_bands = Divisor(bands);
  cut.by_slices = Divisor(slices);
  cut.by_pixels = Divisor(cut.pixels);
  cut.by_columns = Divisor(columns);
  cut.by_outputs_w = Divisor(cut.outputs_w);
  cut.by_phases_w = Divisor(g.stride_w);
  cut.by_chunks = Divisor(chunks);
  return cut;
}

}  // namespace fastconv::cuda
