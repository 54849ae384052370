#include "loss/loss.h"

#include "bind/cuda/losses.h"
#include "loss/named.h"

namespace fastconv::bind {

void register_cuda_loss(py::module_& m) {
  m.def("loss_workspace_bytes", &cuda::loss_workspace_bytes, py::arg("count"));
  m.def(
      "loss",
      [](Address x, Address target, Address totals, Address dx, Address workspace, const std::string& function,
         double parameter, const LossSettings& settings, int64_t count, Address stream) {
        cuda::loss(loss_function(function, parameter), at<const float>(x), at<const float>(target), settings,
                   at<double>(totals), at<float>(dx), count, at<float>(workspace), stream_at(stream));
      },
      py::arg("x"), py::arg("target"), py::arg("totals"), py::arg("dx"), py::arg("workspace"), py::arg("function"),
      py::arg("parameter"), py::arg("settings"), py::arg("count"), py::arg("stream"));
  m.def(
      "categorical_crossentropy",
      [](Address x, Address labels, bool numbers, Address totals, Address dx, const LossSettings& settings,
         int64_t rows, int64_t classes, Address stream) {
        with_labels(labels, numbers, [&](const auto* y) {
          cuda::categorical_crossentropy(at<const float>(x), y, settings, at<double>(totals), at<float>(dx), rows,
                                         classes, stream_at(stream));
        });
      },
      py::arg("x"), py::arg("labels"), py::arg("numbers"), py::arg("totals"), py::arg("dx"), py::arg("settings"),
      py::arg("rows"), py::arg("classes"), py::arg("stream"));
}

}  // namespace fastconv::bind
