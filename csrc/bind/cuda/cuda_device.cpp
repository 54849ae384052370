#include "cuda_device/cuda_device.h"

#include <pybind11/pybind11.h>

namespace fastconv::bind {

namespace py = pybind11;

void register_cuda_device(py::module_& m) {
  m.attr("ARCHITECTURES") = FASTCONV_CUDA_ARCHITECTURES;  // CMake's words, with commas between
  m.def("toolkit_version", &cuda::toolkit_version);
  m.def("driver_version", &cuda::driver_version);
  m.def("devices", [] {
    py::list found;
    for (const cuda::Device& device : cuda::devices()) {
      py::dict entry;
      entry["name"] = device.name;
      entry["capability"] = py::make_tuple(device.major, device.minor);
      entry["multiprocessors"] = device.multiprocessors;
      entry["memory_bytes"] = device.memory_bytes;
      found.append(entry);
    }
    return found;
  });
}

}  // namespace fastconv::bind
