// Sums over rows [begin, end). Built once per instruction set: plain loops that the compiler turns into vectors.
#include "common/simd.h"
#include "sum/sum.h"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr int kAtOnce = 16;  // sums of one run, that follow each other

double sum_of_run(const float* x, int64_t count) noexcept {
  double sums[kAtOnce] = {};
  int64_t i = 0;
  for (; i + kAtOnce <= count; i += kAtOnce)
    for (int k = 0; k < kAtOnce; ++k) sums[k] += x[i + k];
  for (int k = 0; i < count; ++i, ++k) sums[k] += x[i];
  for (int k = 1; k < kAtOnce; ++k) sums[0] += sums[k];
  return sums[0];
}

}  // namespace

void sum_rows(const float* x, double* sums, const Extents& e, int64_t begin, int64_t end) noexcept {
  for (int64_t i = 0; i < e.q * e.s; ++i) sums[i] = 0.0;
  int64_t row = begin;
  while (row < end) {
    const int64_t p = row / e.r, r = row % e.r, count = end - row < e.r - r ? end - row : e.r - r;
    for (int64_t q = 0; q < e.q; ++q) {
      const float* from = x + ((p * e.q + q) * e.r + r) * e.s;
      double* to = sums + q * e.s;
      if (e.s == 1)
        *to += sum_of_run(from, count);
      else
        for (int64_t k = 0; k < count; ++k, from += e.s)
          for (int64_t i = 0; i < e.s; ++i) to[i] += from[i];
    }
    row += count;
  }
}

}  // namespace fastconv::FASTCONV_ISA
