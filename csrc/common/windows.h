// Which pixels are in a window, and which windows hold a pixel, along one axis: on the CPU as on the GPU. `static`, since
// it is compiled for several instruction sets.
#pragma once
#include <cstdint>

#ifdef __CUDACC__
#define FASTCONV_HOST_DEVICE __host__ __device__
#else
#define FASTCONV_HOST_DEVICE
#endif

namespace fastconv {

template <typename Int>
struct Span {
  Int begin, end;
};

// The taps of the window at `output` that lie inside the image.
template <typename Int>
FASTCONV_HOST_DEVICE static inline Span<Int> taps_inside(Int output, Int stride, Int pad, Int taps, Int size) {
  const Int first = output * stride - pad;
  return {first < 0 ? -first : 0, size - first < taps ? size - first : taps};
}

// The outputs whose windows hold `pixel`.
template <typename Int>
FASTCONV_HOST_DEVICE static inline Span<Int> windows_of(Int pixel, Int stride, Int pad, Int taps, Int outputs) {
  const Int first = pixel + pad - taps, last = (pixel + pad) / stride + 1;
  return {first < 0 ? 0 : first / stride + 1, last < outputs ? last : outputs};
}

// The outputs whose tap number `tap` lies inside the image.
template <typename Int>
FASTCONV_HOST_DEVICE static inline Span<Int> outputs_of(Int tap, Int stride, Int pad, Int size, Int outputs) {
  const Int before = pad - tap, last = size - 1 + before;
  const Int begin = before > 0 ? (before + stride - 1) / stride : 0;
  const Int end = last < 0 ? 0 : last / stride + 1 < outputs ? last / stride + 1 : outputs;
  return {begin, end < begin ? begin : end};
}

}  // namespace fastconv
