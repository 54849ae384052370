// A dilation as Python gives it to the bindings of every backend.
#pragma once
#include <pybind11/pybind11.h>

#include "common/errors.h"
#include "layout/layout.h"

namespace fastconv::bind {

// images, batch: shapes of four sizes; dilation, padding: pairs (vertical, horizontal).
inline Dilation dilation_of(const pybind11::tuple& images, const pybind11::tuple& batch,
                            const pybind11::tuple& dilation, const pybind11::tuple& padding) {
  const auto at = [](const pybind11::tuple& t, size_t i) { return t[i].cast<int64_t>(); };
  if (images.size() != 4 || batch.size() != 4)
    throw pybind11::value_error("images, batch: expected arrays of rank 4. Received: other ranks");
  if (dilation.size() != 2 || padding.size() != 2)
    throw pybind11::value_error("dilation, padding: expected pairs of ints. Received: others");
  const Dilation d = {at(images, 0), at(images, 1),   at(images, 2),   at(images, 3),  at(batch, 1),
                      at(batch, 2),  at(dilation, 0), at(dilation, 1), at(padding, 0), at(padding, 1)};
  require(d.dilation_h > 0 && d.dilation_w > 0, "dilation", "positive integers", d.dilation_h);
  require(d.pad_top >= 0 && d.pad_left >= 0, "padding", "no negative integers", d.pad_top);
  require(d.n > 0 && d.h > 0 && d.w > 0 && d.c > 0 && d.batch_h > 0 && d.batch_w > 0, "images", "at least one pixel",
          0);
  require(at(batch, 0) == d.batch_n(), "batch", "an image for each phase of each of the images", at(batch, 0));
  require(at(batch, 3) == d.c, "batch", "as many channels as the images have", at(batch, 3));
  return d;
}

}  // namespace fastconv::bind
