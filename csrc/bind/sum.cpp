#include "sum/sum.h"

#include <pybind11/stl.h>

#include "binary/named.h"
#include "bind/checks.h"

namespace fastconv::bind {

void register_sum(py::module_& m) {
  m.def(
      "sum_workspace_bytes",
      [](const std::vector<int64_t>& extents) { return sum_workspace_bytes(extents_of(extents)); }, py::arg("extents"));
  m.def(
      "sum_forward",
      [](const py::array& x, const py::array& y, const std::vector<int64_t>& extents, const py::object& workspace) {
        const Extents e = extents_of(extents);
        const float* from = input<float>(x, "x", e.count());
        float* to = output<float>(y, "y", e.small_count());
        const Workspace work(workspace);
        const py::gil_scoped_release unlock;
        sum_forward(from, to, e, work.data, work.bytes);
      },
      py::arg("x"), py::arg("y"), py::arg("extents"), py::arg("workspace"));
}

}  // namespace fastconv::bind
