// wgrad of a convolution before a batch normalization, while the sums of that normalization's backward pass are being
// taken. Host side only; backward.cpp has it beside the dgrad that makes the gradient of the normalized y.
//
// dy = scale * dz + (y - mean) * slope_x + offset (batchnorm.h), and slope_x and offset are known after the last image
// only. But dw is linear in dy: with p the inputs that a pixel of y is made of,
//   dw = scale * sum p (x) dz + slope_x * sum p (x) (y - mean) + offset * sum p,
// and with y = p . w + b the second sum is (sum p (x) p - sum p (x) sum p / pixels) . w. So add takes the sums of p (x) dz,
// of p (x) p and of p image by image, while dz is in cache, and finish puts dw together. With a stride of 1 the filter's
// rows share most of sum p (x) p, the cheaper one then: 243 products a pixel for 3 channels, where sum p (x) (y - mean)
// has 864.
#pragma once
#include "conv2d/rows.h"

namespace fastconv {

struct DeferredWgrad {
  const Conv2DGeometry& g;
  RowLayout layout;                        // of x
  int64_t run;                             // inputs of one filter row, which lie side by side
  int64_t squares, columns, inputs, sums;  // where the sums of p (x) p and of p begin, and their number
  int64_t slot;                            // floats of a thread's copied rows of x and sums of an image

  explicit DeferredWgrad(const Conv2DGeometry& g);

  // `memory` holds the parts' sums, in double: where images are far from 0 the terms of dw cancel.
  int64_t floats(int64_t parts) const { return whole_lines(2 * sums) * parts + 2; }
  void begin(float* memory, int64_t part) const;
  void add(const float* x, int64_t image, const float* dz, float* memory, int64_t part, float* scratch) const;
  void finish(float* memory, int64_t parts, const float* w, const BatchNormTransform& norm,
              const BatchNormGradients& gradients, float* dw) const;
};

}  // namespace fastconv
