// The matrices that the passes multiply, as functions of their indexes, and what is done to their numbers on load.
#pragma once
#include <climits>

#include "batchnorm/batchnorm.cuh"
#include "common/divisor.cuh"
#include "conv2d/conv2d.h"

namespace fastconv::cuda {

// ---- loads: from how many arrays a number is made, and how; none is given where it is used as it lies ----
struct AsItLies {
  static constexpr int kArrays = 0;
  struct Channel {};
  __host__ __device__ int arrays() const { return 1; }
};

struct Normalized {
  static constexpr int kArrays = 1;
  struct Channel {
    ChannelNorm norm;
    __device__ float make(float x, float) const { return norm.apply(x); }
  };

  Norm norm;

  __device__ bool given() const { return norm.given; }
  __host__ __device__ int arrays() const { return 1; }
  __device__ Channel channel(int c) const { return {channel_norm(norm, c)}; }
};

// The gradient of y from that of the normalized y: scale * dz + (y - mean) * slope_y + offset.
template <class Number>
struct Gradient {
  static constexpr int kArrays = 2;
  struct Channel {
    ChannelNorm norm;
    float slope_y, offset;

    __device__ float make(float dy, float y) const {
      return fmaf(norm.scale, norm.gradient_z(dy, y), fmaf(y - norm.mean, slope_y, offset));
    }
  };

  Norm norm;
  Global<const Number> second;  // y
  Global<const float> slope_y, offset;

  __host__ __device__ bool given() const { return norm.given; }
  __host__ __device__ int arrays() const { return norm.given ? 2 : 1; }
  __device__ Channel channel(int c) const { return {channel_norm(norm, c), slope_y.load(c), offset.load(c)}; }
};

// ---- matrices ----
constexpr int kOutside = INT_MIN / 2;  // no sum of it and a size below 2^30 is inside anything

// Rows of numbers, one after the other.
template <class Number_, class Load_>
struct Rows {
  using Number = Number_;
  using Load = Load_;
  using Row = int;
  struct Column {
    int channel;
    bool inside;
  };

  Global<const Number> data;
  int rows, columns;
  Load load;

  __device__ static Row row(int i) { return i; }
  __device__ Column column(int j) const { return {j < columns ? j : 0, j < columns}; }
  __device__ bool inside(Row row, const Column& column) const { return row < rows && column.inside; }
  __device__ int64_t at(Row row, const Column& column) const { return int64_t(row) * columns + column.channel; }
};

// The windows that slide over an image of height x width x channels, one a row: pixel (image, p, q) is the window that
// begins at (first_h + p * stride_h, first_w + q * stride_w) and goes on by `direction`: 1, or -1 for dgrad. Its columns
// are the window's (tap, channel). Outside the image are zeros.
template <class Number_, class Load_>
struct Windows {
  using Number = Number_;
  using Load = Load_;
  // pixel: of all images, in sums that wrap where they leave an image.
  struct Row {
    uint32_t pixel;
    int h, w;
  };
  struct Column {
    uint32_t pixel;
    int h, w, channel;
  };

  Global<const Number> data;
  int height, width;
  int64_t stride_h, stride_w, first_h, first_w;
  int direction;
  int rows, columns;
  Divisor p, q, taps_w, channels;
  Load load;

  __device__ Row row(int i) const {
    if (i >= rows) return {0, 0, kOutside};
    const int i_q = q.quotient(i), image = p.quotient(i_q);
    const int h = start(first_h, stride_h, p.remainder(i_q, image)), w = start(first_w, stride_w, q.remainder(i, i_q));
    return {(uint32_t(image) * height + h) * width + w, h, w};
  }

  __device__ Column column(int j) const {
    if (j >= columns) return {0, kOutside, 0, 0};
    const int tap = channels.quotient(j), channel = channels.remainder(j, tap), tap_h = taps_w.quotient(tap);
    const int h = direction * tap_h, w = direction * taps_w.remainder(tap, tap_h);
    return {uint32_t(h) * width + w, h, w, channel};
  }

  __device__ bool inside(const Row& row, const Column& column) const {
    return uint32_t(row.h + column.h) < uint32_t(height) && uint32_t(row.w + column.w) < uint32_t(width);
  }
  __device__ int64_t at(const Row& row, const Column& column) const {
    return int64_t(row.pixel + column.pixel) * channels.d + column.channel;
  }

 private:
  // Windows may begin far behind the image, all of them outside alike.
  static __device__ int start(int64_t first, int64_t stride, int i) {
    const int64_t at = first + stride * i, most = -int64_t(kOutside);
    return int(at < most ? at : most);
  }
};

// Of x: a row for each pixel of y, the filter's entries as columns.
template <class Number>
Windows<Number, Normalized> windows_of(const Conv2DGeometry& g, const Conv2DInputOf<Number>& x) {
  return {global(x.data, g.n * g.h * g.w * g.c),
          int(g.h),
          int(g.w),
          g.stride_h,
          g.stride_w,
          -g.pad_top,
          -g.pad_left,
          1,
          int(g.n * g.p * g.q),
          int(g.r * g.s * g.c),
          Divisor(g.p),
          Divisor(g.q),
          Divisor(g.s),
          Divisor(g.c),
          {norm(x.norm, g.c)}};
}

// How dy is loaded: as it lies where it is the gradient of y.
template <class Number>
Gradient<Number> gradient_of(const Conv2DGeometry& g, const Conv2DBackwardOf<Number>& a) {
  if (!a.y_norm) return {norm(nullptr, g.k), {}, {}, {}};
  return {norm(a.y_norm, g.k), global(a.y, g.n * g.p * g.q * g.k),
          global(static_cast<const float*>(a.y_gradients->slope_x), g.k),
          global(static_cast<const float*>(a.y_gradients->offset), g.k)};
}

}  // namespace fastconv::cuda
