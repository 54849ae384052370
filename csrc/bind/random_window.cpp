#include "random_window/random_window.h"

#include <pybind11/stl.h>

#include "bind/checks.h"
#include "random_window/named.h"

namespace fastconv::bind {
namespace {

std::vector<int64_t> shape_of(const py::array& a) { return {a.shape(), a.shape() + a.ndim()}; }

}  // namespace

void register_random_window(py::module_& m) {
  m.def(
      "random_window",
      [](const py::array& x, const py::array& seed, const py::array& step, const py::array& y, const std::string& flip,
         const std::vector<double>& rows, const std::vector<double>& columns, bool whole, const std::string& fill_mode,
         float fill_value, int64_t stream) {
        const RandomWindow window =
            random_window_named(shape_of(x), shape_of(y), flip, rows, columns, whole, fill_mode, fill_value, stream);
        const float* from = input<float>(x, "x", x.size());
        const int64_t seed_value = *input<int64_t>(seed, "seed", 1);
        const int64_t step_value = *input<int64_t>(step, "step", 1);
        float* to = output<float>(y, "y", y.size());
        const py::gil_scoped_release unlock;
        random_window(from, seed_value, step_value, to, window);
      },
      py::arg("x"), py::arg("seed"), py::arg("step"), py::arg("y"), py::arg("flip"), py::arg("rows"),
      py::arg("columns"), py::arg("whole"), py::arg("fill_mode"), py::arg("fill_value"), py::arg("stream"));
}

}  // namespace fastconv::bind
