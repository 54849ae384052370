#include "copy_columns/copy_columns.h"

#include "bind/cuda/pointers.h"
#include "copy_columns/checked.h"

namespace fastconv::bind {

void register_cuda_copy_columns(py::module_& m) {
  m.def(
      "copy_columns",
      [](Address x, int64_t x_size, Address y, int64_t y_size, int64_t rows, int64_t columns, int64_t x_at,
         int64_t y_at, Address stream) {
        cuda::copy_columns(at<const float>(x), at<float>(y), checked_columns(x_size, y_size, rows, columns, x_at, y_at),
                           stream_at(stream));
      },
      py::arg("x"), py::arg("x_size"), py::arg("y"), py::arg("y_size"), py::arg("rows"), py::arg("columns"),
      py::arg("x_at"), py::arg("y_at"), py::arg("stream"));
}

}  // namespace fastconv::bind
