// Copies `columns` numbers of every row, from column x_at of x to column y_at of y; x and y are (rows, any), and what is
// beside the columns in y stays as it was. Concatenation is one such call for each of its inputs, its gradient the way
// back. x and y do not overlap. One read, one write.
#pragma once
#include <cstdint>

namespace fastconv {

struct Columns {
  int64_t rows, columns, x_pitch, x_at, y_pitch, y_at;  // pitch: numbers from a row to the next
};

void copy_columns(const float* x, float* y, const Columns& columns);

namespace cuda {  // copy_columns.cu: the same on a stream
void copy_columns(const float* x, float* y, const Columns& columns, void* stream);
}  // namespace cuda

}  // namespace fastconv
