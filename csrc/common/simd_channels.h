// Vectors along the channels of a pixel, for *_simd.cpp files.
#pragma once
#include "common/simd.h"

namespace fastconv::FASTCONV_ISA {
namespace {

struct WholeVector {
  static constexpr int n = kLanes;
  f32v load(const float* p) const noexcept { return FASTCONV_ISA::load(p); }
  void store(float* p, f32v v) const noexcept { FASTCONV_ISA::store(p, v); }
};

struct PartOfVector {
  int n;
  f32v load(const float* p) const noexcept { return load_partial(p, n); }
  void store(float* p, f32v v) const noexcept { store_partial(p, v, n); }
};

// Calls body(c, lanes) for the vectors of a pixel; lanes.load and lanes.store touch its channels alone.
template <typename Body>
inline void for_each_vector(int64_t channels, Body&& body) noexcept {
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) body(c, WholeVector{});
  if (c < channels) body(c, PartOfVector{int(channels - c)});
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
