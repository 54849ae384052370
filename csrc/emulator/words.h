// The words of common/cuda.cuh for the host. Every access is checked: its bounds, its alignment, and in shared memory its
// order against other threads'.
#pragma once
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "emulator/machine.h"

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)

// Where a kernel uses a word; the compiler fills it in.
#define FASTCONV_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace fastconv::cuda {

using Stream = void*;  // there is one order of things here

inline int thread() { return emulator::machine().thread().index; }
inline int threads() { return emulator::machine().block_threads(); }
inline int lane() { return thread() % kWarp; }
inline int warp() { return thread() / kWarp; }
inline int64_t block_x() { return emulator::machine().block().x; }
inline int64_t block_y() { return emulator::machine().block().y; }
inline int64_t block_z() { return emulator::machine().block().z; }
inline int64_t blocks_x() { return emulator::machine().grid().x; }

// ---- memory ----
inline float as_float(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}

inline uint32_t as_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}

struct BFloat16 {
  uint16_t bits;

  BFloat16() = default;
  BFloat16(float x) {
    constexpr uint32_t kHalf = (1u << 15) - 1;  // and the last bit that stays: ties to even
    const uint32_t all = as_bits(x);
    bits = std::isnan(x) ? 0x7FFF : uint16_t((all + kHalf + (all >> 16 & 1)) >> 16);
  }
  operator float() const { return as_float(uint32_t(bits) << 16); }
};

inline uint32_t bfloat16_pair(float low, float high) {
  return BFloat16(low).bits | uint32_t(BFloat16(high).bits) << 16;
}

// Numbers of memory, four of them.
template <typename T>
struct Four {
  T v[4];

  explicit Four(const Float4& x) : v{T(x.v[0]), T(x.v[1]), T(x.v[2]), T(x.v[3])} {}
  Four() = default;
  operator Float4() const { return {{float(v[0]), float(v[1]), float(v[2]), float(v[3])}}; }
};

template <typename T>
struct Global {
  T* data;
  int64_t count;

  explicit operator bool() const { return data; }

  T load(int64_t i, FASTCONV_HERE) const {
    check(i, 1, "load", {file, line});
    return data[i];
  }
  template <typename Value>
  void store(int64_t i, const Value& value, FASTCONV_HERE) const {
    check(i, 1, "store", {file, line});
    data[i] = value;
  }
  Float4 load4(int64_t i, FASTCONV_HERE) const {
    check(i, 4, "load4", {file, line});
    Four<std::remove_const_t<T>> value;
    std::memcpy(&value, data + i, sizeof(value));
    return value;
  }
  void store4(int64_t i, const Float4& value, FASTCONV_HERE) const {
    check(i, 4, "store4", {file, line});
    const Four<T> four(value);
    std::memcpy(data + i, &four, sizeof(four));
  }

  void check(int64_t i, int width, const char* word, emulator::Place place) const {
    emulator::Machine& m = emulator::machine();
    const uintptr_t address = reinterpret_cast<uintptr_t>(data + i);
    if (!data) m.stop(std::string(word) + " of an array that is null", place);
    if (i < 0 || i > count - width)
      m.stop(std::string(word) + " of global memory at " + std::to_string(i) + " of " + std::to_string(count), place);
    if (address % (sizeof(T) * width) != 0)
      m.stop(std::string(word) + " of global memory at " + std::to_string(i) + ", which is not on " +
                 std::to_string(sizeof(T) * width) + " bytes",
             place);
    m.traffic().global(m.thread().index, place, int64_t(address), int(sizeof(T)) * width);
  }
};

template <typename T>
Global<T> global(T* data, int64_t count) {
  return {data, count};
}

inline void atomic_min(Global<uint64_t> to, int64_t i, uint64_t value, FASTCONV_HERE) {
  to.check(i, 1, "atomic_min", {file, line});
  if (value < to.data[i]) to.data[i] = value;
}

template <typename T>
struct Shared {
  int offset, count;  // bytes, elements

  T load(int i, FASTCONV_HERE) const {
    read(i, 1, "load", {file, line});
    return emulator::machine().shared().get<T>(offset + i * int(sizeof(T)));
  }
  void store(int i, T value, FASTCONV_HERE) const {
    write(i, 1, "store", {file, line});
    emulator::machine().shared().set(offset + i * int(sizeof(T)), value);
  }
  Float4 load4(int i, FASTCONV_HERE) const {
    read(i, 4, "load4", {file, line});
    return emulator::machine().shared().get<Four<T>>(offset + i * int(sizeof(T)));
  }
  void store4(int i, const Float4& value, FASTCONV_HERE) const {
    write(i, 4, "store4", {file, line});
    emulator::machine().shared().set(offset + i * int(sizeof(T)), Four<T>(value));
  }
  Float2 load2(int i, FASTCONV_HERE) const {
    read(i, 2, "load2", {file, line});
    return emulator::machine().shared().get<Float2>(offset + i * int(sizeof(T)));
  }
  void store2(int i, const Float2& value, FASTCONV_HERE) const {
    write(i, 2, "store2", {file, line});
    emulator::machine().shared().set(offset + i * int(sizeof(T)), value);
  }
  Shared from(int i, int elements, FASTCONV_HERE) const {
    if (i < 0 || elements < 0 || i > count - elements)
      emulator::machine().stop("part of shared memory beyond its end", {file, line});
    return {offset + i * int(sizeof(T)), elements};
  }

  void read(int i, int width, const char* word, emulator::Place place) const {
    check(i, width, word, place);
    emulator::Machine& m = emulator::machine();
    m.traffic().shared(m.thread().index, place, offset + i * int(sizeof(T)), int(sizeof(T)) * width);
    refuse(i, word, m.shared().read(offset + i * int(sizeof(T)), int(sizeof(T)) * width, m.now()), place);
  }
  void write(int i, int width, const char* word, emulator::Place place) const {
    check(i, width, word, place);
    emulator::Machine& m = emulator::machine();
    m.traffic().shared(m.thread().index, place, offset + i * int(sizeof(T)), int(sizeof(T)) * width);
    refuse(i, word, m.shared().write(offset + i * int(sizeof(T)), int(sizeof(T)) * width, m.now()), place);
  }
  void check(int i, int width, const char* word, emulator::Place place) const {
    emulator::Machine& m = emulator::machine();
    if (i < 0 || i > count - width)
      m.stop(std::string(word) + " of shared memory at " + std::to_string(i) + " of " + std::to_string(count), place);
    if ((offset + i * int(sizeof(T))) % (int(sizeof(T)) * width) != 0)
      m.stop(std::string(word) + " of shared memory at " + std::to_string(i) + ", which is not on " +
                 std::to_string(sizeof(T) * width) + " bytes",
             place);
  }
  void refuse(int i, const char* word, const emulator::Conflict& conflict, emulator::Place place) const {
    if (conflict.access)
      emulator::machine().stop(std::string(word) + " of shared memory at " + std::to_string(i) + ", which thread " +
                                   std::to_string(conflict.thread) + " " + conflict.access,
                               place);
  }
};

template <typename T>
Shared<T> shared(int offset_bytes, int count, FASTCONV_HERE) {
  emulator::Machine& m = emulator::machine();
  if (offset_bytes < 0 || count < 0 || offset_bytes % int(alignof(T)) != 0 ||
      offset_bytes + count * int64_t(sizeof(T)) > m.shared().bytes())
    m.stop("shared memory from " + std::to_string(offset_bytes) + ", " + std::to_string(count * sizeof(T)) +
               " bytes, of " + std::to_string(m.shared().bytes()),
           {file, line});
  return {offset_bytes, count};
}

// Hardware may ask for an aligned source even where it does not read it.
template <typename T>
void cp_async(Shared<T> to, int i, Global<const T> from, int64_t j, bool valid, int width, const char* word,
              emulator::Place place) {
  emulator::Machine& m = emulator::machine();
  const int offset = to.offset + i * int(sizeof(T)), bytes = width * int(sizeof(T));
  if (valid)
    from.check(j, width, word, place);
  else if (reinterpret_cast<uintptr_t>(from.data) % uintptr_t(bytes) != 0)
    m.stop(std::string(word) + " of nothing from an array that is not on " + std::to_string(bytes) + " bytes", place);
  to.check(i, width, word, place);
  m.traffic().shared(m.thread().index, place, offset, bytes);
  to.refuse(i, word, m.shared().depart(offset, bytes, m.now()), place);
  m.thread().copies.push_back({offset, bytes, valid ? from.data + j : nullptr, m.thread().copy_groups});
}
inline void cp_async1(Shared<float> to, int i, Global<const float> from, int64_t j, bool valid, FASTCONV_HERE) {
  cp_async(to, i, from, j, valid, 1, "cp_async1", {file, line});
}
template <typename T>
void cp_async4(Shared<T> to, int i, Global<const T> from, int64_t j, bool valid, FASTCONV_HERE) {
  cp_async(to, i, from, j, valid, 4, "cp_async4", {file, line});
}
inline void cp_async_commit() { ++emulator::machine().thread().copy_groups; }

template <int kInFlight>
void cp_async_wait() {
  emulator::machine().arrive(kInFlight);
}

// ---- together ----
inline void sync(FASTCONV_HERE) { emulator::machine().wait_for_block({file, line}); }
inline void sync_warp(FASTCONV_HERE) { emulator::machine().wait_for_warp("sync_warp", {file, line}, nullptr, nullptr); }

template <typename T>
T shfl_xor(T value, int mask, FASTCONV_HERE) {
  struct Argument {
    T value, result;
    int mask;
  } argument = {value, {}, mask};
  emulator::machine().wait_for_warp(
      "shfl_xor", {file, line},
      [](void* const* lanes) {
        for (int i = 0; i < kWarp; ++i) {
          Argument* a = static_cast<Argument*>(lanes[i]);
          a->result = static_cast<Argument*>(lanes[(i ^ a->mask) % kWarp])->value;
        }
      },
      &argument);
  return argument.result;
}

// ---- arithmetic ----
inline uint32_t tf32(float x) {
  constexpr uint32_t kHalf = 1u << 12, kMantissa = (1u << 13) - 1, kNaN = 0x7FFFFFFF;
  const uint32_t bits = as_bits(x);
  if (std::isnan(x)) return kNaN;
  return std::isinf(x) ? bits : (bits + kHalf) & ~kMantissa;
}

void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], FASTCONV_HERE);
void mma_bfloat16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], FASTCONV_HERE);
void load_matrices(uint32_t (&to)[4], Shared<BFloat16> from, int i, FASTCONV_HERE);
void load_matrices_transposed(uint32_t (&to)[4], Shared<BFloat16> from, int i, FASTCONV_HERE);

inline uint32_t multiply_high(uint32_t a, uint32_t b) { return uint32_t(uint64_t(a) * b >> 32); }

// ---- from the host ----
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const Grid& grid, int threads, int shared_bytes, Stream,
            const Arguments&... arguments) {
  check_launch(name, grid, threads, shared_bytes);
  emulator::machine().launch(name, grid, threads, shared_bytes, [&] { kernel(Parameters(arguments)...); });
}

}  // namespace fastconv::cuda
