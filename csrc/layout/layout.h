// Numbers in another order: copies, no arithmetic.
//  - space_to_batch: images of the pixels that are `dilation` apart, one for each phase (i, j) of it, from the image with
//    zeros around it: batch[(i * dilation_w + j) * n + image, h, w, c] = image[h * dilation_h + i - pad_top, w * dilation_w
//    + j - pad_left, c], 0 beyond the image. Dilation 1 pads.
//  - batch_to_space: the way back; 0 for pixels that the batch does not have. Dilation 1 crops. Each is the other's
//    gradient.
//  - swap_axes: y[b, a, c] = x[a, b, c].
#pragma once
#include <cstdint>

namespace fastconv {

struct Dilation {
  int64_t n, h, w, c;        // the images
  int64_t batch_h, batch_w;  // rows and columns of the batch's
  int64_t dilation_h, dilation_w, pad_top, pad_left;

  int64_t batch_n() const { return n * dilation_h * dilation_w; }
};

void space_to_batch(const Dilation& d, const float* images, float* batch);
void batch_to_space(const Dilation& d, const float* batch, float* images);
void swap_axes(const float* x, float* y, int64_t a, int64_t b, int64_t c);

namespace cuda {  // layout.cu: the same on a stream
void space_to_batch(const Dilation& d, const float* images, float* batch, void* stream);
void batch_to_space(const Dilation& d, const float* batch, float* images, void* stream);
void swap_axes(const float* x, float* y, int64_t a, int64_t b, int64_t c, void* stream);
}  // namespace cuda

}  // namespace fastconv
