// A window of each image, at a place and flipped as random numbers say: RandomFlip, RandomTranslation and RandomCrop.
//   y[n, i, j] = x[n, row(i), column(j)], i mirrored before where rows are flipped, j where columns are;
//   row(i) = i + low + u * (high - low), rounded down if `whole`, else rows are interpolated; columns likewise.
// The numbers are of image n alone: with w0, w1, w2 the top 24 bits of the words of Philox4x32-10 at the key `seed` and the
// counter (n low, n high, step, stream), times 2^-24 (dropout/philox.h), the image is flipped if w0 <= 0.5, u of rows is w1,
// u of columns w2. Beyond the image it is continued: Fill says how. Every operation rounds once in the same place, so that
// all backends give the same bits; where nothing is interpolated values are copied. x and y do not overlap.
#pragma once
#include <cstdint>

namespace fastconv {

enum class Fill { constant, nearest, reflect, wrap };  // reflect repeats the pixel at the border

struct RandomWindow {
  int64_t n, h, w, c, p, q;  // x is (n, h, w, c), y (n, p, q, c)
  bool flip_rows, flip_columns;
  float row_low, row_span, column_low, column_span;  // whose products with u are exact in double
  bool whole;
  Fill fill;
  float fill_value;
  uint32_t stream;
};

void random_window(const float* x, int64_t seed, int64_t step, float* y, const RandomWindow& window);

namespace cuda {  // random_window.cu: the same on a stream; seed and step are on the device
void random_window(const float* x, const int64_t* seed, const int64_t* step, float* y, const RandomWindow& window,
                   void* cuda_stream);
}  // namespace cuda

}  // namespace fastconv
