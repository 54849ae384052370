#include "pool2d/pool2d.h"

#include "bind/checks.h"
#include "bind/geometry.h"

namespace fastconv::bind {
namespace {

int64_t input_size(const Conv2DGeometry& g) { return g.n * g.h * g.w * g.c; }
int64_t output_size(const Conv2DGeometry& g) { return g.n * g.p * g.q * g.c; }

}  // namespace

void register_pool2d(py::module_& m) {
  m.def(
      "maxpool2d_forward",
      [](const py::tuple& geometry, const py::array& x, const py::array& y, const py::object& index) {
        const Conv2DGeometry g = pool_geometry_of(geometry);
        const float* from = input<float>(x, "x", input_size(g));
        float* to = output<float>(y, "y", output_size(g));
        float* taps = optional_output<float>(index, "index", output_size(g));
        const py::gil_scoped_release unlock;
        maxpool2d_forward(g, from, to, taps);
      },
      py::arg("geometry"), py::arg("x"), py::arg("y"), py::arg("index"));
  m.def(
      "maxpool2d_backward",
      [](const py::tuple& geometry, const py::array& dy, const py::array& index, const py::array& dx) {
        const Conv2DGeometry g = pool_geometry_of(geometry);
        const float* gradient = input<float>(dy, "dy", output_size(g));
        const float* taps = input<float>(index, "index", output_size(g));
        float* to = output<float>(dx, "dx", input_size(g));
        const py::gil_scoped_release unlock;
        maxpool2d_backward(g, gradient, taps, to);
      },
      py::arg("geometry"), py::arg("dy"), py::arg("index"), py::arg("dx"));
  m.def(
      "avgpool2d_forward",
      [](const py::tuple& geometry, const py::array& x, const py::array& y, bool mean) {
        const Conv2DGeometry g = pool_geometry_of(geometry);
        const float* from = input<float>(x, "x", input_size(g));
        float* to = output<float>(y, "y", output_size(g));
        const py::gil_scoped_release unlock;
        avgpool2d_forward(g, from, to, mean);
      },
      py::arg("geometry"), py::arg("x"), py::arg("y"), py::arg("mean"));
  m.def(
      "avgpool2d_backward",
      [](const py::tuple& geometry, const py::array& dy, const py::array& dx, bool mean) {
        const Conv2DGeometry g = pool_geometry_of(geometry);
        const float* gradient = input<float>(dy, "dy", output_size(g));
        float* to = output<float>(dx, "dx", input_size(g));
        const py::gil_scoped_release unlock;
        avgpool2d_backward(g, gradient, to, mean);
      },
      py::arg("geometry"), py::arg("dy"), py::arg("dx"), py::arg("mean"));
}

}  // namespace fastconv::bind
