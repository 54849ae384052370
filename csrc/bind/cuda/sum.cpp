#include "sum/sum.h"

#include <pybind11/stl.h>

#include "binary/named.h"
#include "bind/cuda/pointers.h"

namespace fastconv::bind {

void register_cuda_sum(py::module_& m) {
  m.def(
      "sum_workspace_bytes",
      [](const std::vector<int64_t>& extents) { return cuda::sum_workspace_bytes(extents_of(extents)); },
      py::arg("extents"));
  m.def(
      "sum_forward",
      [](Address x, Address y, const std::vector<int64_t>& extents, Address workspace, Address stream) {
        cuda::sum_forward(at<const float>(x), at<float>(y), extents_of(extents), at<float>(workspace),
                          stream_at(stream));
      },
      py::arg("x"), py::arg("y"), py::arg("extents"), py::arg("workspace"), py::arg("stream"));
}

}  // namespace fastconv::bind
