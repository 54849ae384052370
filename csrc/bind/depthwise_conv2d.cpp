#include "depthwise_conv2d/depthwise_conv2d.h"

#include "bind/checks.h"
#include "bind/geometry.h"

namespace fastconv::bind {
namespace {

int64_t x_size(const Conv2DGeometry& g) { return g.n * g.h * g.w * g.c; }
int64_t w_size(const Conv2DGeometry& g) { return g.r * g.s * g.k; }
int64_t y_size(const Conv2DGeometry& g) { return g.n * g.p * g.q * g.k; }

}  // namespace

void register_depthwise_conv2d(py::module_& m) {
  m.def(
      "depthwise_conv2d_fprop",
      [](const py::tuple& geometry, const py::array& x, const py::array& w, const py::object& b, const py::array& y) {
        const Conv2DGeometry g = depthwise_geometry_of(geometry);
        const float* from = input<float>(x, "x", x_size(g));
        const float* weights = input<float>(w, "w", w_size(g));
        const float* bias = optional_input<float>(b, "b", g.k);
        float* to = output<float>(y, "y", y_size(g));
        const py::gil_scoped_release unlock;
        depthwise_conv2d_fprop(g, from, weights, bias, to);
      },
      py::arg("geometry"), py::arg("x"), py::arg("w"), py::arg("b"), py::arg("y"));
  m.def(
      "depthwise_conv2d_dgrad",
      [](const py::tuple& geometry, const py::array& dy, const py::array& w, const py::array& dx) {
        const Conv2DGeometry g = depthwise_geometry_of(geometry);
        const float* gradient = input<float>(dy, "dy", y_size(g));
        const float* weights = input<float>(w, "w", w_size(g));
        float* to = output<float>(dx, "dx", x_size(g));
        const py::gil_scoped_release unlock;
        depthwise_conv2d_dgrad(g, gradient, weights, to);
      },
      py::arg("geometry"), py::arg("dy"), py::arg("w"), py::arg("dx"));
  m.def(
      "depthwise_conv2d_wgrad",
      [](const py::tuple& geometry, const py::array& x, const py::array& dy, const py::array& dw,
         const py::object& workspace) {
        const Conv2DGeometry g = depthwise_geometry_of(geometry);
        const float* from = input<float>(x, "x", x_size(g));
        const float* gradient = input<float>(dy, "dy", y_size(g));
        float* to = output<float>(dw, "dw", w_size(g));
        const Workspace work(workspace);
        const py::gil_scoped_release unlock;
        depthwise_conv2d_wgrad(g, from, gradient, to, work.data, work.bytes);
      },
      py::arg("geometry"), py::arg("x"), py::arg("dy"), py::arg("dw"), py::arg("workspace"));
  m.def(
      "depthwise_conv2d_wgrad_workspace_bytes",
      [](const py::tuple& geometry) { return depthwise_conv2d_wgrad_workspace_bytes(depthwise_geometry_of(geometry)); },
      py::arg("geometry"));
}

}  // namespace fastconv::bind
