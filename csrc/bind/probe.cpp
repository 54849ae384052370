#include "probe/probe.h"

#include <pybind11/pybind11.h>

namespace fastconv::bind {

namespace py = pybind11;

void register_probe(py::module_& m) {
  m.def("measure_fma_peak", &measure_fma_peak, py::arg("seconds"), py::call_guard<py::gil_scoped_release>());
  m.def("measure_bandwidth", &measure_bandwidth, py::arg("seconds"), py::call_guard<py::gil_scoped_release>());
}

}  // namespace fastconv::bind
