# The CUDA kernels, twice if asked for: in _cuda by nvcc, in _emulator by the C++ compiler, which runs them on the host.
set(FASTCONV_CUDA AUTO CACHE STRING "Build the CUDA kernels: AUTO (where nvcc is found), ON or OFF")
option(FASTCONV_EMULATOR "Build the CUDA kernels for the host too, to test them without a GPU" OFF)

get_property(bindings GLOBAL PROPERTY FASTCONV_CUDA_BINDINGS)
get_property(kernels GLOBAL PROPERTY FASTCONV_CUDA_KERNELS)
list(APPEND bindings ${CMAKE_SOURCE_DIR}/csrc/bind/cuda/module.cpp ${CMAKE_SOURCE_DIR}/csrc/bind/cuda/cuda_device.cpp
     ${CMAKE_SOURCE_DIR}/csrc/conv2d/conv2d.cpp)

if(FASTCONV_CUDA STREQUAL "AUTO")
  include(CheckLanguage)
  check_language(CUDA)
endif()
if(FASTCONV_CUDA STREQUAL "ON" OR (FASTCONV_CUDA STREQUAL "AUTO" AND CMAKE_CUDA_COMPILER))
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    # Every architecture from Ampere on that has tensor cores for TF32, and PTX of the last for those to come.
    set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90a-real 120)
  endif()
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)  # it loads the driver on first use: importing needs none
  enable_language(CUDA)
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.4)
    message(FATAL_ERROR "fastconv: expected nvcc 12.4 or later. Received: ${CMAKE_CUDA_COMPILER_VERSION}. "
                        "FASTCONV_CUDA=OFF builds the package for the CPU alone")
  endif()
  pybind11_add_module(_cuda NO_EXTRAS ${bindings} ${kernels} csrc/cuda_device/cuda_device.cu)
  set_target_properties(_cuda PROPERTIES CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON CUDA_VISIBILITY_PRESET hidden)
  target_include_directories(_cuda PRIVATE csrc)
  string(REPLACE ";" "," architectures "${CMAKE_CUDA_ARCHITECTURES}")
  target_compile_definitions(_cuda PRIVATE FASTCONV_CUDA_MODULE=_cuda FASTCONV_CUDA_ARCHITECTURES="${architectures}")
  # Denormals are zero, as on the CPU.
  target_compile_options(_cuda PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra> $<$<COMPILE_LANGUAGE:CUDA>:-ftz=true>)
  install(TARGETS _cuda DESTINATION fastconv)
endif()

if(FASTCONV_EMULATOR)
  add_subdirectory(csrc/emulator)  # where the .cu files are C++
endif()
