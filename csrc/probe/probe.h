// What this machine can do at most, on num_threads() threads of the library's own pool: the yardsticks of the benchmarks.
//  - FMA peak: multiply-adds (two operations each) of the chosen instruction set on registers alone.
//  - bandwidth: y = a * x on arrays far larger than any cache, as STREAM's "scale". Every byte read and every byte
//    written counts once; that a processor reads a line before it writes it does not count.
// Both are the best of repeated samples over `seconds`, and at least one: a sample that other work disturbed is no limit.
#pragma once
#include <cstdint>

#include "common/isa.h"

namespace fastconv {

double measure_fma_peak(double seconds);   // GFLOP/s
double measure_bandwidth(double seconds);  // GB/s

// probe_fma: `rounds` of as many independent multiply-adds as keep every port of a core busy; writes their sum, which
// makes them needed, and returns the number of operations.
#define FASTCONV_DECLARE_PROBE(isa)                                                              \
  namespace isa {                                                                                \
  int64_t probe_fma(int64_t rounds, float factor, float* sum) noexcept;                          \
  void probe_scale(const float* x, float* y, float factor, int64_t begin, int64_t end) noexcept; \
  }
FASTCONV_FOR_EACH_ISA(FASTCONV_DECLARE_PROBE)
#undef FASTCONV_DECLARE_PROBE

}  // namespace fastconv
