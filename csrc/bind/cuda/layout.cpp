#include "layout/layout.h"

#include "bind/cuda/pointers.h"
#include "bind/dilation.h"

namespace fastconv::bind {

void register_cuda_layout(py::module_& m) {
  m.def(
      "space_to_batch",
      [](const py::tuple& images, const py::tuple& batch, const py::tuple& dilation, const py::tuple& padding,
         Address x, Address y, Address stream) {
        cuda::space_to_batch(dilation_of(images, batch, dilation, padding), at<const float>(x), at<float>(y),
                             stream_at(stream));
      },
      py::arg("images"), py::arg("batch"), py::arg("dilation"), py::arg("padding"), py::arg("x"), py::arg("y"),
      py::arg("stream"));
  m.def(
      "batch_to_space",
      [](const py::tuple& images, const py::tuple& batch, const py::tuple& dilation, const py::tuple& padding,
         Address x, Address y, Address stream) {
        cuda::batch_to_space(dilation_of(images, batch, dilation, padding), at<const float>(x), at<float>(y),
                             stream_at(stream));
      },
      py::arg("images"), py::arg("batch"), py::arg("dilation"), py::arg("padding"), py::arg("x"), py::arg("y"),
      py::arg("stream"));
  m.def(
      "swap_axes",
      [](Address x, Address y, int64_t rows, int64_t columns, int64_t size, Address stream) {
        cuda::swap_axes(at<const float>(x), at<float>(y), rows, columns, size, stream_at(stream));
      },
      py::arg("x"), py::arg("y"), py::arg("rows"), py::arg("columns"), py::arg("size"), py::arg("stream"));
}

}  // namespace fastconv::bind
