#include "conv2d/conv2d.h"

#include "bind/checks.h"
#include "common/parallel.h"

namespace fastconv::bind {
namespace {

// fastconv.geometry.Conv2DGeometry, a tuple of 13 ints in the order of the C++ struct.
Conv2DGeometry geometry_of(const py::tuple& t) {
  if (t.size() != 13)
    throw py::value_error("geometry: expected 13 ints (fastconv.geometry.Conv2DGeometry). Received: " +
                          std::to_string(t.size()));
  const auto at = [&](int i) { return t[i].cast<int64_t>(); };
  const Conv2DGeometry g = {at(0), at(1), at(2), at(3),  at(4),  at(5), at(6),
                            at(7), at(8), at(9), at(10), at(11), at(12)};
  conv2d_check(g);
  return g;
}

int64_t x_size(const Conv2DGeometry& g) { return g.n * g.h * g.w * g.c; }
int64_t w_size(const Conv2DGeometry& g) { return g.r * g.s * g.c * g.k; }
int64_t y_size(const Conv2DGeometry& g) { return g.n * g.p * g.q * g.k; }

}  // namespace

void register_conv2d(py::module_& m) {
  m.def(
      "conv2d_fprop",
      [](const py::tuple& geometry, const py::array& x, const py::array& w, const py::object& b, const py::array& y,
         const py::object& workspace) {
        const Conv2DGeometry g = geometry_of(geometry);
        const float* x_data = input<float>(x, "x", x_size(g));
        const float* w_data = input<float>(w, "w", w_size(g));
        const float* b_data = optional_input<float>(b, "b", g.k);
        float* y_data = output<float>(y, "y", y_size(g));
        const Workspace work(workspace);
        const py::gil_scoped_release unlock;
        conv2d_fprop(g, x_data, w_data, b_data, y_data, work.data, work.bytes);
      },
      py::arg("geometry"), py::arg("x"), py::arg("w"), py::arg("b"), py::arg("y"), py::arg("workspace"));
  m.def(
      "conv2d_dgrad",
      [](const py::tuple& geometry, const py::array& dy, const py::array& w, const py::array& dx,
         const py::object& workspace) {
        const Conv2DGeometry g = geometry_of(geometry);
        const float* dy_data = input<float>(dy, "dy", y_size(g));
        const float* w_data = input<float>(w, "w", w_size(g));
        float* dx_data = output<float>(dx, "dx", x_size(g));
        const Workspace work(workspace);
        const py::gil_scoped_release unlock;
        conv2d_dgrad(g, dy_data, w_data, dx_data, work.data, work.bytes);
      },
      py::arg("geometry"), py::arg("dy"), py::arg("w"), py::arg("dx"), py::arg("workspace"));
  m.def(
      "conv2d_wgrad",
      [](const py::tuple& geometry, const py::array& x, const py::array& dy, const py::array& dw, const py::object& db,
         const py::object& workspace) {
        const Conv2DGeometry g = geometry_of(geometry);
        const float* x_data = input<float>(x, "x", x_size(g));
        const float* dy_data = input<float>(dy, "dy", y_size(g));
        float* dw_data = output<float>(dw, "dw", w_size(g));
        float* db_data = optional_output<float>(db, "db", g.k);
        const Workspace work(workspace);
        const py::gil_scoped_release unlock;
        conv2d_wgrad(g, x_data, dy_data, dw_data, db_data, work.data, work.bytes);
      },
      py::arg("geometry"), py::arg("x"), py::arg("dy"), py::arg("dw"), py::arg("db"), py::arg("workspace"));

  const auto bytes_of = [&](const char* name, size_t (*workspace_bytes)(const Conv2DGeometry&, int)) {
    m.def(
        name,
        [workspace_bytes](const py::tuple& geometry) { return workspace_bytes(geometry_of(geometry), num_threads()); },
        py::arg("geometry"));
  };
  bytes_of("conv2d_fprop_workspace_bytes", conv2d_fprop_workspace_bytes);
  bytes_of("conv2d_dgrad_workspace_bytes", conv2d_dgrad_workspace_bytes);
  bytes_of("conv2d_wgrad_workspace_bytes", conv2d_wgrad_workspace_bytes);
}

}  // namespace fastconv::bind
