// A convolution's geometry as Python gives it to the bindings of every backend.
#pragma once
#include <pybind11/pybind11.h>

#include <string>

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

}  // namespace fastconv::bind
