#include "binary/binary.h"

#include <pybind11/stl.h>

#include "binary/named.h"
#include "bind/checks.h"

namespace fastconv::bind {

void register_binary(py::module_& m) {
  m.def(
      "binary_forward",
      [](const py::array& a, const py::array& b, const py::array& y, const std::string& function,
         const std::vector<int64_t>& extents) {
        const Extents e = extents_of(extents);
        const float* a_data = input<float>(a, "a", e.count());
        const float* b_data = input<float>(b, "b", e.small_count());
        float* y_data = output<float>(y, "y", e.count());
        const Binary named = binary_named(function);
        const py::gil_scoped_release unlock;
        binary_forward(a_data, b_data, y_data, named, e);
      },
      py::arg("a"), py::arg("b"), py::arg("y"), py::arg("function"), py::arg("extents"));
  m.def(
      "binary_backward",
      [](const py::array& dy, const py::array& a, const py::array& b, const py::object& da, const py::object& db,
         const std::string& function, const std::vector<int64_t>& extents) {
        const Extents e = extents_of(extents);
        const float* dy_data = input<float>(dy, "dy", e.count());
        const float* a_data = input<float>(a, "a", e.count());
        const float* b_data = input<float>(b, "b", e.small_count());
        float* da_data = optional_output<float>(da, "da", e.count());
        float* db_data = optional_output<float>(db, "db", e.count());
        const Binary named = binary_named(function);
        const py::gil_scoped_release unlock;
        binary_backward(dy_data, a_data, b_data, da_data, db_data, named, e);
      },
      py::arg("dy"), py::arg("a"), py::arg("b"), py::arg("da"), py::arg("db"), py::arg("function"), py::arg("extents"));
}

}  // namespace fastconv::bind
