#include "dropout/dropout.h"

#include "bind/checks.h"

namespace fastconv::bind {
namespace {

void dropout(const py::array& from, const char* from_name, const py::array& seed, const py::array& step,
             const py::array& to, const char* to_name, double rate, int64_t stream) {
  const int64_t count = from.size();
  const float* from_data = input<float>(from, from_name, count);
  const int64_t seed_value = *input<int64_t>(seed, "seed", 1);
  const int64_t step_value = *input<int64_t>(step, "step", 1);
  float* to_data = output<float>(to, to_name, count);
  const py::gil_scoped_release unlock;
  dropout_forward(from_data, seed_value, step_value, to_data, rate, stream, count);
}

}  // namespace

void register_dropout(py::module_& m) {
  m.def(
      "dropout_forward",
      [](const py::array& x, const py::array& seed, const py::array& step, const py::array& y, double rate,
         int64_t stream) { dropout(x, "x", seed, step, y, "y", rate, stream); },
      py::arg("x"), py::arg("seed"), py::arg("step"), py::arg("y"), py::arg("rate"), py::arg("stream"));
  m.def(
      "dropout_backward",
      [](const py::array& dy, const py::array& seed, const py::array& step, const py::array& dx, double rate,
         int64_t stream) { dropout(dy, "dy", seed, step, dx, "dx", rate, stream); },
      py::arg("dy"), py::arg("seed"), py::arg("step"), py::arg("dx"), py::arg("rate"), py::arg("stream"));
}

}  // namespace fastconv::bind
