# The CUDA kernels, twice if asked for: in _cuda by nvcc, in _emulator by the C++ compiler, which runs them on the host.
set(FASTCONV_CUDA AUTO CACHE STRING "Build the CUDA kernels: AUTO (where nvcc is found), ON or OFF")
option(FASTCONV_EMULATOR "Build the CUDA kernels for the host too, to test them without a GPU" OFF)

get_property(bindings GLOBAL PROPERTY FASTCONV_CUDA_BINDINGS)
get_property(kernels GLOBAL PROPERTY FASTCONV_CUDA_KERNELS)
list(APPEND bindings ${CMAKE_SOURCE_DIR}/csrc/bind/cuda/module.cpp ${CMAKE_SOURCE_DIR}/csrc/bind/cuda/cuda_device.cpp
     ${CMAKE_SOURCE_DIR}/csrc/conv2d/conv2d.cpp)

if(NOT FASTCONV_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "FASTCONV_CUDA: expected AUTO, ON or OFF. Received: ${FASTCONV_CUDA}")
endif()

# Sets `nvcc` to the version of an nvcc that can build the kernels, `missing` to what was found where there is none.
function(fastconv_find_nvcc)
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(missing "no nvcc that works on the PATH or in CUDACXX" PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE version)
  string(REGEX MATCH "release ([0-9.]+)" release "${version}")
  if(CMAKE_MATCH_1 VERSION_GREATER_EQUAL 12.4)
    set(nvcc ${CMAKE_MATCH_1} PARENT_SCOPE)
  else()
    set(missing "${CMAKE_CUDA_COMPILER}, ${release}" PARENT_SCOPE)
  endif()
endfunction()

if(NOT FASTCONV_CUDA STREQUAL "OFF")
  fastconv_find_nvcc()
  if(nvcc)
    message(STATUS "fastconv: CUDA kernels by nvcc ${nvcc}")
  elseif(FASTCONV_CUDA STREQUAL "ON")
    message(FATAL_ERROR "FASTCONV_CUDA=ON: expected nvcc 12.4 or later. Received: ${missing}")
  else()
    message(STATUS "fastconv: for the CPU alone, since CUDA needs nvcc 12.4 or later. Found: ${missing}")
  endif()
endif()

if(nvcc)
  # Code for architectures that have tensor cores for TF32, and PTX of the last for those to come.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90a-real)
    if(nvcc VERSION_GREATER_EQUAL 12.8)
      list(APPEND CMAKE_CUDA_ARCHITECTURES 120)
    else()
      list(APPEND CMAKE_CUDA_ARCHITECTURES 90-virtual)
    endif()
  endif()
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)  # it loads the driver on first use: importing needs none
  enable_language(CUDA)
  foreach(architecture IN LISTS CMAKE_CUDA_ARCHITECTURES)
    if(NOT architecture STREQUAL "native" AND NOT architecture MATCHES "^([89]|1[0-9])[0-9][af]?(-real|-virtual)?$")
      message(FATAL_ERROR "CMAKE_CUDA_ARCHITECTURES: expected a list of 80 (Ampere) or later, or native. "
                          "Received: ${CMAKE_CUDA_ARCHITECTURES}")
    endif()
  endforeach()
  pybind11_add_module(_cuda NO_EXTRAS ${bindings} ${kernels} csrc/cuda_device/cuda_device.cu)
  set_target_properties(_cuda PROPERTIES CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON CUDA_VISIBILITY_PRESET hidden)
  target_include_directories(_cuda PRIVATE csrc)
  string(REPLACE ";" "," architectures "${CMAKE_CUDA_ARCHITECTURES}")
  target_compile_definitions(_cuda PRIVATE FASTCONV_CUDA_MODULE=_cuda FASTCONV_CUDA_ARCHITECTURES="${architectures}")
  # Denormals are zero, as on the CPU.
  target_compile_options(_cuda PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra> $<$<COMPILE_LANGUAGE:CUDA>:-ftz=true>)
  if(nvcc VERSION_GREATER_EQUAL 13)  # 4 MB for 14; with an older nvcc, drivers that it else supports could not unpack it
    target_compile_options(_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--compress-mode=size>)
  endif()
  install(TARGETS _cuda DESTINATION fastconv)
endif()

if(FASTCONV_EMULATOR)
  add_subdirectory(csrc/emulator)  # where the .cu files are C++
endif()
