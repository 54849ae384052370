// Dropout: y[i] = random(i) >= rate ? x[i] / (1 - rate) : 0, with random a function of (seed, stream, step, i)
// alone: backward is the same call on dy, and no mask is stored.
//   random(i): Philox4x32-10 (Salmon et al. 2011), the 64 bits of seed as key, the counter (block low, block high, step
//   low, stream) with block = i / 4; the top 24 bits of word i % 4, times 2^-24. The same bits for every instruction
//   set and any number of threads, and in fastconv.ops.numpy_images.philox_uniform.
// rate 0 keeps everything, rate 1 nothing (zeros also where x is NaN). In-place ok: y may be x. One read, one write.
#pragma once
#include <cstdint>

#include "common/isa.h"

namespace fastconv {

// Throws std::invalid_argument if rate is not in [0, 1] or stream is not an unsigned number of 32 bits.
void dropout_forward(const float* x, int64_t seed, int64_t step, float* y, double rate, int64_t stream, int64_t count);

struct DropoutSettings {
  uint64_t seed;
  uint32_t step, stream;
  float last_dropped;  // kept where the top 24 bits, a whole number, are above this
  float scale;
};

#define FASTCONV_DECLARE_DROPOUT(isa)                                                                  \
  namespace isa {                                                                                      \
  /* begin must be a multiple of 4 */                                                                  \
  void dropout_forward_range(const float* x, float* y, const DropoutSettings& settings, int64_t begin, \
                             int64_t end) noexcept;                                                    \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_DROPOUT)
#undef FASTCONV_DECLARE_DROPOUT

namespace cuda {  // dropout.cu: the same on a CUDA stream; seed and step are on the device, read when the kernel runs
template <class Number>  // float or BFloat16 (common/cuda.cuh)
void dropout_forward(const Number* x, const int64_t* seed, const int64_t* step, Number* y, double rate, int64_t stream,
                     int64_t count, void* cuda_stream);
}  // namespace cuda

}  // namespace fastconv
