// The words that device code is written in: nvcc turns them into PTX, a C++ compiler with FASTCONV_EMULATOR into calls of
// csrc/emulator, which runs the same kernels on the host and checks what hardware does not. Kernels use nothing else of
// CUDA but the attributes __global__, __device__ and __launch_bounds__.
//
//  - Global<T>, Shared<T>: arrays with an index. `global` makes the first on the host, from a pointer and a count; `shared`
//    the second in a kernel, from a place in the launch's shared memory. load4 and store4 move four floats whose first
//    lies on 16 bytes, load2 and store2 two whose first lies on 8.
//  - BFloat16: the upper half of a float, to which a float rounds (to the nearest, ties to even) and from which it comes
//    by itself. load4 and store4 make floats of it and back; four of them lie on 8 bytes.
//  - cp_async1, cp_async4: one or four numbers from global to shared memory, zeros where not `valid`; they arrive at
//    cp_async_wait<N>, which lets the N latest committed groups fly, in the thread that waits: others see them after sync.
//  - atomic_min: what is there becomes the smaller of it and `value`. Whole numbers only: their order does not matter.
//  - mma_tf32: d += a * b of 16x8 by 8x8, by a warp. With g = lane / 4, t = lane % 4 a lane holds of a (row, column)
//    = (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4), of b (t, g), (t + 4, g), of d (g, 2t), (g, 2t + 1), (g + 8, 2t),
//    (g + 8, 2t + 1). PTX ISA 9.0, "Matrix Fragments for mma.m16n8k8".
//  - mma_bfloat16: the same of 16x16 by 16x8, two numbers in a word, the first in its lower half. A lane holds of a
//    (row, columns) = (g, 2t and 2t + 1), (g + 8, 2t ...), (g, 2t + 8 ...), (g + 8, 2t + 8 ...), of b (rows, column) =
//    (2t and 2t + 1, g), (2t + 8 ..., g). bfloat16_pair makes such a word of two floats.
//  - load_matrices: four 8x8 matrices of BFloat16 from shared memory, lane 8 i + j giving the place of row j of matrix i, on
//    16 bytes; word i of a lane is of matrix i, (g, 2t and 2t + 1), or of its transpose, (2t and 2t + 1, g).
//  - sync, sync_warp, shfl_xor, mma_* and load_matrices* are reached by all threads of the block, or of the warp, together.
#pragma once
#include <cstdint>
#include <string>

#include "common/cuda_types.h"

#ifdef FASTCONV_EMULATOR
#include "emulator/words.h"
#else

#include <cuda_runtime.h>

namespace fastconv::cuda {

using Stream = cudaStream_t;

// ---- where a thread is; blocks are one-dimensional ----
__device__ inline int thread() { return int(threadIdx.x); }
__device__ inline int threads() { return int(blockDim.x); }
__device__ inline int lane() { return int(threadIdx.x) % kWarp; }
__device__ inline int warp() { return int(threadIdx.x) / kWarp; }
__device__ inline int64_t block_x() { return blockIdx.x; }
__device__ inline int64_t block_y() { return blockIdx.y; }
__device__ inline int64_t block_z() { return blockIdx.z; }
__device__ inline int64_t blocks_x() { return gridDim.x; }

// ---- memory ----
__device__ inline float as_float(uint32_t bits) { return __uint_as_float(bits); }
__device__ inline uint32_t as_bits(float x) { return __float_as_uint(x); }

__device__ inline uint32_t bfloat16_pair(float low, float high) {
  uint32_t bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}

struct BFloat16 {
  uint16_t bits;

  BFloat16() = default;
  __device__ BFloat16(float x) { asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x)); }
  __device__ operator float() const { return as_float(uint32_t(bits) << 16); }
};

// Four numbers of memory.
__device__ inline Float4 load_four(const float* from) { return *reinterpret_cast<const Float4*>(from); }
__device__ inline Float4 load_four(const BFloat16* from) {
  const uint2 pairs = *reinterpret_cast<const uint2*>(from);
  constexpr uint32_t kHigh = 0xFFFF0000;
  return {{as_float(pairs.x << 16), as_float(pairs.x & kHigh), as_float(pairs.y << 16), as_float(pairs.y & kHigh)}};
}
__device__ inline void store_four(float* to, const Float4& x) { *reinterpret_cast<Float4*>(to) = x; }
__device__ inline void store_four(BFloat16* to, const Float4& x) {
  *reinterpret_cast<uint2*>(to) = make_uint2(bfloat16_pair(x.v[0], x.v[1]), bfloat16_pair(x.v[2], x.v[3]));
}

template <typename T>
struct Global {
  T* data;

  __host__ __device__ explicit operator bool() const { return data; }
  __device__ T load(int64_t i) const { return data[i]; }
  __device__ void store(int64_t i, T value) const { data[i] = value; }
  __device__ Float4 load4(int64_t i) const { return load_four(data + i); }
  __device__ void store4(int64_t i, const Float4& value) const { store_four(data + i, value); }
};

template <typename T>
Global<T> global(T* data, int64_t) {
  return {data};
}

template <typename T>
struct Shared {
  T* data;

  __device__ T load(int i) const { return data[i]; }
  __device__ void store(int i, T value) const { data[i] = value; }
  __device__ Float4 load4(int i) const { return load_four(data + i); }
  __device__ void store4(int i, const Float4& value) const { store_four(data + i, value); }
  __device__ Float2 load2(int i) const { return *reinterpret_cast<const Float2*>(data + i); }
  __device__ void store2(int i, const Float2& value) const { *reinterpret_cast<Float2*>(data + i) = value; }
  __device__ Shared from(int i, int) const { return {data + i}; }
};

__device__ inline void atomic_min(Global<uint64_t> to, int64_t i, uint64_t value) {
  atomicMin(reinterpret_cast<unsigned long long*>(to.data + i), static_cast<unsigned long long>(value));
}

extern __shared__ Float4 shared_memory[];

// `count` elements at `offset_bytes` of the launch's shared memory.
template <typename T>
__device__ Shared<T> shared(int offset_bytes, int) {
  return {reinterpret_cast<T*>(reinterpret_cast<char*>(shared_memory) + offset_bytes)};
}

__device__ inline void cp_async1(Shared<float> to, int i, Global<const float> from, int64_t j, bool valid) {
  const unsigned address = unsigned(__cvta_generic_to_shared(to.data + i));
  const float* source = valid ? from.data + j : from.data;  // not read if not valid
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(address), "l"(source), "r"(valid ? 4 : 0));
}

__device__ inline void cp_async4(Shared<float> to, int i, Global<const float> from, int64_t j, bool valid) {
  const unsigned address = unsigned(__cvta_generic_to_shared(to.data + i));
  const float* source = valid ? from.data + j : from.data;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(source), "r"(valid ? 16 : 0));
}

__device__ inline void cp_async4(Shared<BFloat16> to, int i, Global<const BFloat16> from, int64_t j, bool valid) {
  const unsigned address = unsigned(__cvta_generic_to_shared(to.data + i));
  const BFloat16* source = valid ? from.data + j : from.data;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(address), "l"(source), "r"(valid ? 8 : 0));
}

__device__ inline void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int kInFlight>
__device__ inline void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kInFlight) : "memory");
}

// ---- together ----
__device__ inline void sync() { __syncthreads(); }
__device__ inline void sync_warp() { __syncwarp(); }

template <typename T>
__device__ T shfl_xor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}

// ---- arithmetic ----
// The nearest number of 10 bits of mantissa, ties away from zero, in the upper bits of a float.
__device__ inline uint32_t tf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

__device__ inline void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ inline void mma_bfloat16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ inline void load_matrices(uint32_t (&to)[4], Shared<BFloat16> from, int i) {
  const unsigned address = unsigned(__cvta_generic_to_shared(from.data + i));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

__device__ inline void load_matrices_transposed(uint32_t (&to)[4], Shared<BFloat16> from, int i) {
  const unsigned address = unsigned(__cvta_generic_to_shared(from.data + i));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

__device__ inline uint32_t multiply_high(uint32_t a, uint32_t b) { return __umulhi(a, b); }

// ---- from the host ----
inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

// Calls kernel(arguments...) in every thread of every block.
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const Grid& grid, int threads, int shared_bytes,
            Stream stream, const Arguments&... arguments) {
  constexpr int kSharedBytesUnasked = 48 * 1024;
  check_launch(name, grid, threads, shared_bytes);
  if (shared_bytes > kSharedBytesUnasked)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes), name);
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(unsigned(grid.x), unsigned(grid.y), unsigned(grid.z));
  config.blockDim = dim3(unsigned(threads));
  config.dynamicSmemBytes = size_t(shared_bytes);
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...), name);
}

}  // namespace fastconv::cuda

#endif
