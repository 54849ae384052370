#include "softmax_xent/softmax_xent.h"

#include "bind/cuda/losses.h"

namespace fastconv::bind {

void register_cuda_softmax_xent(py::module_& m) {
  m.def(
      "softmax_forward",
      [](Address x, Address y, int64_t rows, int64_t classes, Address stream) {
        cuda::softmax_forward(at<const float>(x), at<float>(y), rows, classes, stream_at(stream));
      },
      py::arg("x"), py::arg("y"), py::arg("rows"), py::arg("classes"), py::arg("stream"));
  m.def(
      "softmax_backward",
      [](Address dy, Address y, Address dx, int64_t rows, int64_t classes, Address stream) {
        cuda::softmax_backward(at<const float>(dy), at<const float>(y), at<float>(dx), rows, classes,
                               stream_at(stream));
      },
      py::arg("dy"), py::arg("y"), py::arg("dx"), py::arg("rows"), py::arg("classes"), py::arg("stream"));
  m.def(
      "softmax_xent",
      [](Address x, Address labels, bool numbers, Address totals, Address dx, const LossSettings& settings,
         int64_t rows, int64_t classes, Address stream) {
        with_labels(labels, numbers, [&](const auto* y) {
          cuda::softmax_xent(at<const float>(x), y, settings, at<double>(totals), at<float>(dx), rows, classes,
                             stream_at(stream));
        });
      },
      py::arg("x"), py::arg("labels"), py::arg("numbers"), py::arg("totals"), py::arg("dx"), py::arg("settings"),
      py::arg("rows"), py::arg("classes"), py::arg("stream"));
}

}  // namespace fastconv::bind
