// What every binding checks of its arrays: float32 (or the named type), C-contiguous, aligned, of the right size, and
// writable where it is written. Kernels trust the pointers they get.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

namespace fastconv::bind {

namespace py = pybind11;

template <typename T>
const T* input(const py::array& a, const char* name, int64_t size) {
  if (!py::isinstance<py::array_t<T, py::array::c_style>>(a))
    throw py::type_error(std::string(name) + ": expected a C-contiguous array of " +
                         std::string(py::str(py::dtype::of<T>())) + ". Received: dtype " +
                         std::string(py::str(a.dtype())) + ", strides " + std::string(py::str(a.attr("strides"))));
  if (reinterpret_cast<uintptr_t>(a.data()) % alignof(T) != 0)
    throw py::type_error(std::string(name) +
                         ": expected an array aligned to its items. Received: an address between two");
  if (a.size() != size)
    throw py::value_error(std::string(name) + ": expected " + std::to_string(size) + " elements. Received: shape " +
                          std::string(py::str(a.attr("shape"))));
  return static_cast<const T*>(a.data());
}

template <typename T>
T* output(const py::array& a, const char* name, int64_t size) {
  const T* data = input<T>(a, name, size);
  if (!a.writeable()) throw py::value_error(std::string(name) + ": expected a writable array. Received: read-only");
  return const_cast<T*>(data);
}

// None stands for an argument that is not there.
template <typename T>
const T* optional_input(const py::object& a, const char* name, int64_t size) {
  return a.is_none() ? nullptr : input<T>(py::cast<py::array>(a), name, size);
}

template <typename T>
T* optional_output(const py::object& a, const char* name, int64_t size) {
  return a.is_none() ? nullptr : output<T>(py::cast<py::array>(a), name, size);
}

// A step's workspace: a float32 array of any size, or None.
struct Workspace {
  float* data = nullptr;
  size_t bytes = 0;

  explicit Workspace(const py::object& a) {
    if (a.is_none()) return;
    const py::array array = py::cast<py::array>(a);
    data = output<float>(array, "workspace", array.size());
    bytes = size_t(array.nbytes());
  }
};

}  // namespace fastconv::bind
