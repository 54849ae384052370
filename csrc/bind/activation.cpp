#include "activation/activation.h"

#include <pybind11/stl.h>

#include "activation/named.h"
#include "bind/checks.h"

namespace fastconv::bind {

void register_activation(py::module_& m) {
  m.def(
      "activation_forward",
      [](const py::array& x, const py::array& y, const std::string& function, const std::vector<float>& parameters) {
        const int64_t count = x.size();
        const float* from = input<float>(x, "x", count);
        float* to = output<float>(y, "y", count);
        const ActivationFunction named = activation_named(function, parameters);
        const py::gil_scoped_release unlock;
        activation_forward(from, to, named, count);
      },
      py::arg("x"), py::arg("y"), py::arg("function"), py::arg("parameters"));
  m.def(
      "activation_backward",
      [](const py::array& dy, const py::array& x, const py::array& dx, const std::string& function,
         const std::vector<float>& parameters) {
        const int64_t count = dy.size();
        const float* gradient = input<float>(dy, "dy", count);
        const float* from = input<float>(x, "x", count);
        float* to = output<float>(dx, "dx", count);
        const ActivationFunction named = activation_named(function, parameters);
        const py::gil_scoped_release unlock;
        activation_backward(gradient, from, to, named, count);
      },
      py::arg("dy"), py::arg("x"), py::arg("dx"), py::arg("function"), py::arg("parameters"));
}

}  // namespace fastconv::bind
