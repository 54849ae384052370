// What tests ask of the emulator: the order of threads, counts, the removal of a barrier.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>

#include "emulator/machine.h"

namespace fastconv::bind {

namespace py = pybind11;
using emulator::machine;
using emulator::Order;

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
}

}  // namespace fastconv::bind
