// Sums of k that were split over blocks, added in order.
#pragma once
#include <cstdint>

namespace fastconv::cuda {

// `splits` times `count` + `rest` floats.
struct Partials {
  const float* sums;
  int64_t splits, count, rest;
};

// out[i] = sum of the i-th of `count` over all splits (+ bias[i % columns] unless it is null); of `rest`: to out_rest.
template <class Number>
void add_partials(const char* name, const Partials& partials, const float* bias, int64_t columns, Number* out,
                  float* out_rest, void* stream);

}  // namespace fastconv::cuda
