// The columns of a copy, for the bindings of both modules.
#pragma once
#include "common/errors.h"
#include "copy_columns/copy_columns.h"

namespace fastconv {

// Throws std::invalid_argument unless x_size and y_size are whole rows that have the columns.
inline Columns checked_columns(int64_t x_size, int64_t y_size, int64_t rows, int64_t columns, int64_t x_at,
                               int64_t y_at) {
  require(rows > 0 && x_size % rows == 0 && y_size % rows == 0, "rows", "a number that both sizes are multiples of",
          rows);
  const Columns c = {rows, columns, x_size / rows, x_at, y_size / rows, y_at};
  require(columns > 0, "columns", "a positive number", columns);
  require(x_at >= 0 && x_at <= c.x_pitch - columns, "x_at", "a column of x with all columns after it", x_at);
  require(y_at >= 0 && y_at <= c.y_pitch - columns, "y_at", "a column of y with all columns after it", y_at);
  return c;
}

}  // namespace fastconv
