// What tests ask of the emulator: the order of threads, counts, the removal of a barrier, its own tests' kernels.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>

#include "emulator/machine.h"
#include "emulator/selftest.h"

namespace fastconv::bind {

namespace py = pybind11;
using emulator::machine;
using emulator::Order;
using Floats = py::array_t<float, py::array::c_style>;

void register_emulator(py::module_& m) {
  m.def(
      "set_order",
      [](const std::string& order, uint64_t seed) {
        const std::map<std::string, Order> orders = {
            {"forward", Order::forward}, {"reverse", Order::reverse}, {"random", Order::random}};
        const auto found = orders.find(order);
        if (found == orders.end())
          throw py::value_error("order: expected forward, reverse or random. Received: " + order);
        machine().order = found->second;
        machine().seed = seed;
      },
      py::arg("order"), py::arg("seed") = 0);
  m.def(
      "remove_barrier",
      [](const std::string& kernel, int number) {
        machine().mutated = kernel;
        machine().removed_barrier = number;
      },
      py::arg("kernel"), py::arg("number"));
  m.def("restore_barriers", [] { machine().mutated.clear(); });
  m.def(
      "count",
      [](bool on) {
        machine().traffic().on = on;
        machine().traffic().kernels.clear();
      },
      py::arg("on"));
  m.def("counts", [] {
    py::dict kernels;
    for (const auto& [name, c] : machine().traffic().kernels) {
      py::dict counts;
      counts["launches"] = c.launches;
      counts["blocks"] = c.blocks;
      counts["mma"] = c.mma;
      counts["wavefronts"] = c.wavefronts;
      counts["ideal_wavefronts"] = c.ideal_wavefronts;
      counts["sectors"] = c.sectors;
      counts["ideal_sectors"] = c.ideal_sectors;
      kernels[py::str(name)] = counts;
    }
    return kernels;
  });
  m.def(
      "self_test",
      [](const std::string& kernel, int threads, std::array<int64_t, 3> grid, int shared_bytes,
         const std::optional<Floats>& x, std::optional<Floats> y, int how, int n) {
        emulator::SelfTest test = {{grid[0], grid[1], grid[2]}, threads, shared_bytes};
        if (x) test.x = x->data(), test.x_count = x->size();
        if (y) test.y = y->mutable_data(), test.y_count = y->size();
        test.how = how;
        test.n = n;
        emulator::run_self_test(kernel, test);
      },
      py::arg("kernel"), py::arg("threads") = 64, py::arg("grid") = std::array<int64_t, 3>{1, 1, 1},
      py::arg("shared_bytes") = 0, py::arg("x").noconvert() = py::none(), py::arg("y").noconvert() = py::none(),
      py::arg("how") = 0, py::arg("n") = 0);
}

}  // namespace fastconv::bind
