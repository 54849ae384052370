// Arrays reach these bindings as addresses: fastconv/ops/cuda_ops.py has checked what they are.
#pragma once
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "common/errors.h"

namespace fastconv::cuda {
struct BFloat16;  // common/cuda.cuh
}

namespace fastconv::bind {

namespace py = pybind11;

using Address = uintptr_t;  // of device memory; 0 stands for None

template <typename T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

// Addresses of activations and their gradients, of what a step's are.
template <typename Number_>
struct Activations {
  using Number = Number_;
  const Number* in(Address address) const { return at<const Number>(address); }
  Number* out(Address address) const { return at<Number>(address); }
};

// Calls body(Activations) for the dtype "float32" or "bfloat16".
template <typename Body>
void with_activations(const std::string& dtype, const Body& body) {
  if (dtype == "bfloat16") return body(Activations<cuda::BFloat16>());
  if (dtype != "float32") fail("dtype", "\"float32\" or \"bfloat16\"", dtype);
  body(Activations<float>());
}

inline void* stream_at(Address address) { return reinterpret_cast<void*>(address); }

}  // namespace fastconv::bind
