// Arrays reach these bindings as addresses: fastconv/ops/cuda_ops.py has checked what they are.
#pragma once
#include <pybind11/pybind11.h>

#include <cstdint>

namespace fastconv::bind {

namespace py = pybind11;

using Address = uintptr_t;  // of device memory; 0 stands for None

template <typename T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

inline void* stream_at(Address address) { return reinterpret_cast<void*>(address); }

}  // namespace fastconv::bind
