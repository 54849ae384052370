#include "random_window/random_window.h"

#include <pybind11/stl.h>

#include "bind/cuda/pointers.h"
#include "random_window/named.h"

namespace fastconv::bind {

void register_cuda_random_window(py::module_& m) {
  m.def(
      "random_window",
      [](Address x, const std::vector<int64_t>& x_shape, Address seed, Address step, Address y,
         const std::vector<int64_t>& y_shape, const std::string& flip, const std::vector<double>& rows,
         const std::vector<double>& columns, bool whole, const std::string& fill_mode, float fill_value, int64_t stream,
         Address cuda_stream) {
        const RandomWindow window =
            random_window_named(x_shape, y_shape, flip, rows, columns, whole, fill_mode, fill_value, stream);
        cuda::random_window(at<const float>(x), at<const int64_t>(seed), at<const int64_t>(step), at<float>(y), window,
                            stream_at(cuda_stream));
      },
      py::arg("x"), py::arg("x_shape"), py::arg("seed"), py::arg("step"), py::arg("y"), py::arg("y_shape"),
      py::arg("flip"), py::arg("rows"), py::arg("columns"), py::arg("whole"), py::arg("fill_mode"),
      py::arg("fill_value"), py::arg("stream"), py::arg("cuda_stream"));
}

}  // namespace fastconv::bind
