// The loop of the kernels of this folder. Only *_simd.cpp files include it.
#pragma once
#include "common/simd.h"

namespace fastconv::FASTCONV_ISA {
namespace {

// Calls body(load, store) for every vector of [begin, end); the last one is partial: its other lanes load 0.
template <typename Body>
inline void for_each_vector(int64_t begin, int64_t end, Body&& body) noexcept {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes)
    body([i](const float* p) noexcept { return load(p + i); }, [i](float* p, f32v v) noexcept { store(p + i, v); });
  if (i < end) {
    const int n = int(end - i);
    body([i, n](const float* p) noexcept { return load_partial(p + i, n); },
         [i, n](float* p, f32v v) noexcept { store_partial(p + i, v, n); });
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
