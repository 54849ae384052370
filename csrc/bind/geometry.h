// A convolution's geometry as Python gives it to the bindings of every backend.
#pragma once
#include <pybind11/pybind11.h>

#include <optional>
#include <string>

#include "common/errors.h"
#include "conv2d/conv2d.h"

namespace fastconv::bind {

// fastconv.geometry.Conv2DGeometry, a tuple of 13 ints in the order of the C++ struct.
inline Conv2DGeometry geometry_of(const pybind11::tuple& t) {
  if (t.size() != 13)
    throw pybind11::value_error("geometry: expected 13 ints (fastconv.geometry.Conv2DGeometry). Received: " +
                                std::to_string(t.size()));
  const auto at = [&](int i) { return t[i].cast<int64_t>(); };
  const Conv2DGeometry g = {at(0), at(1), at(2), at(3),  at(4),  at(5), at(6),
                            at(7), at(8), at(9), at(10), at(11), at(12)};
  conv2d_check(g);
  return g;
}

// That of a depthwise convolution: each channel has as many filters.
inline Conv2DGeometry depthwise_geometry_of(const pybind11::tuple& t) {
  const Conv2DGeometry g = geometry_of(t);
  require(g.k % g.c == 0, "depthwise_conv2d", "a multiple of the channels as k", g.k);
  return g;
}

// That of a pooling: windows have pixels inside the image, and few enough that a float numbers them.
inline Conv2DGeometry pool_geometry_of(const pybind11::tuple& t) {
  constexpr int64_t kMostTaps = 1 << 24;
  const Conv2DGeometry g = geometry_of(t);
  require(g.k == g.c, "pool2d", "as many filters as channels", g.k);
  require(g.r <= kMostTaps / g.s, "pool2d", "windows of at most 2^24 pixels, in rows of as many as s", g.s);
  require((g.p - 1) * g.stride_h - g.pad_top < g.h, "pool2d", "windows that begin inside the image, p", g.p);
  require((g.q - 1) * g.stride_w - g.pad_left < g.w, "pool2d", "windows that begin inside the image, q", g.q);
  return g;
}

inline std::optional<Conv2DGeometry> optional_geometry(const pybind11::object& t) {
  if (t.is_none()) return std::nullopt;
  return geometry_of(pybind11::cast<pybind11::tuple>(t));
}

}  // namespace fastconv::bind
