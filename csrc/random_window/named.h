// A window as the bindings of both modules are told of it.
#pragma once
#include <string>
#include <vector>

#include "common/errors.h"
#include "random_window/random_window.h"

namespace fastconv {

// Throws std::invalid_argument unless x (n, h, w, c) and y (n, p, q, c) have four axes, none of them empty, and names and
// numbers are in their ranges.
inline RandomWindow random_window_named(const std::vector<int64_t>& x, const std::vector<int64_t>& y,
                                        const std::string& flip, const std::vector<double>& rows,
                                        const std::vector<double>& columns, bool whole, const std::string& fill_mode,
                                        float fill_value, int64_t stream) {
  require(x.size() == 4, "x", "four axes", static_cast<long long>(x.size()));
  require(y.size() == 4 && y[0] == x[0] && y[3] == x[3], "y", "four axes, images and channels as x has",
          static_cast<long long>(y.size()));
  for (const int64_t size : {x[0], x[1], x[2], x[3], y[1], y[2]}) require(size > 0, "x and y", "no empty axis", size);
  RandomWindow window = {};
  window.n = x[0], window.h = x[1], window.w = x[2], window.c = x[3], window.p = y[1], window.q = y[2];
  const bool both = flip == "horizontal_and_vertical";
  window.flip_rows = both || flip == "vertical";
  window.flip_columns = both || flip == "horizontal";
  if (!window.flip_rows && !window.flip_columns && flip != "none")
    fail("flip", "none, horizontal, vertical or horizontal_and_vertical", flip);
  const auto range = [](const char* name, const std::vector<double>& given, float& low, float& span) {
    constexpr double kFarthest = 1 << 30;
    if (given.size() != 2 || !(-kFarthest <= given[0] && given[0] <= given[1] && given[1] <= kFarthest))
      fail(name, "two numbers of pixels, the smaller first", std::to_string(given.size()) + " others");
    low = float(given[0]);
    span = float(given[1] - given[0]);
  };
  range("rows", rows, window.row_low, window.row_span);
  range("columns", columns, window.column_low, window.column_span);
  window.whole = whole;
  if (fill_mode == "constant")
    window.fill = Fill::constant;
  else if (fill_mode == "nearest")
    window.fill = Fill::nearest;
  else if (fill_mode == "reflect")
    window.fill = Fill::reflect;
  else if (fill_mode == "wrap")
    window.fill = Fill::wrap;
  else
    fail("fill_mode", "constant, nearest, reflect or wrap", fill_mode);
  window.fill_value = fill_value;
  require(stream >= 0 && stream <= int64_t(UINT32_MAX), "stream", "an unsigned number of 32 bits", stream);
  window.stream = uint32_t(stream);
  return window;
}

}  // namespace fastconv
