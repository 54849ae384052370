#include "metrics/metrics.h"

#include "bind/cuda/losses.h"

namespace fastconv::bind {

void register_cuda_metrics(py::module_& m) {
  m.def(
      "categorical_accuracy",
      [](Address x, Address labels, bool numbers, Address sample_weight, Address totals, int64_t k, int64_t samples,
         int64_t rows, int64_t classes, Address stream) {
        with_labels(labels, numbers, [&](const auto* y) {
          cuda::categorical_accuracy(at<const float>(x), y, at<const float>(sample_weight), at<double>(totals), k,
                                     samples, rows, classes, stream_at(stream));
        });
      },
      py::arg("x"), py::arg("labels"), py::arg("numbers"), py::arg("sample_weight"), py::arg("totals"), py::arg("k"),
      py::arg("samples"), py::arg("rows"), py::arg("classes"), py::arg("stream"));
  m.def(
      "confusion",
      [](Address x, Address target, Address thresholds, Address sample_weight, Address totals, int64_t samples,
         int64_t count, int64_t threshold_count, Address stream) {
        cuda::confusion(at<const float>(x), at<const float>(target), at<const float>(thresholds),
                        at<const float>(sample_weight), at<double>(totals), samples, count, threshold_count,
                        stream_at(stream));
      },
      py::arg("x"), py::arg("target"), py::arg("thresholds"), py::arg("sample_weight"), py::arg("totals"),
      py::arg("samples"), py::arg("count"), py::arg("threshold_count"), py::arg("stream"));
}

}  // namespace fastconv::bind
