#include "batch/batch.h"

#include "bind/cuda/pointers.h"

namespace fastconv::bind {

void register_cuda_batch(py::module_& m) {
  // data: uint8 where `bytes`, else float32
  m.def(
      "gather_batch",
      [](Address data, bool bytes, Address labels, Address order, Address position, Address x, Address y,
         int64_t samples, int64_t size, int64_t label_size, int64_t batch, float scale, float offset, Address stream) {
        const cuda::Dataset dataset = {at<const uint32_t>(labels), at<const int64_t>(order), samples, size, label_size};
        const auto run = [&](auto* numbers) {
          cuda::gather_batch(numbers, dataset, at<const int64_t>(position), at<float>(x), at<uint32_t>(y), batch, scale,
                             offset, stream_at(stream));
        };
        if (bytes)
          run(at<const uint8_t>(data));
        else
          run(at<const float>(data));
      },
      py::arg("data"), py::arg("bytes"), py::arg("labels"), py::arg("order"), py::arg("position"), py::arg("x"),
      py::arg("y"), py::arg("samples"), py::arg("size"), py::arg("label_size"), py::arg("batch"), py::arg("scale"),
      py::arg("offset"), py::arg("stream"));
  m.def(
      "advance",
      [](int64_t batch, Address position, Address step, Address totals, Address running, int64_t sums, Address stream) {
        cuda::advance(batch, at<int64_t>(position), at<int64_t>(step), at<const double>(totals), at<double>(running),
                      sums, stream_at(stream));
      },
      py::arg("batch"), py::arg("position"), py::arg("step"), py::arg("totals"), py::arg("running"), py::arg("sums"),
      py::arg("stream"));
  m.def(
      "set_number",
      [](Address x, float value, Address stream) { cuda::set_number(at<float>(x), value, stream_at(stream)); },
      py::arg("x"), py::arg("value"), py::arg("stream"));
}

}  // namespace fastconv::bind
