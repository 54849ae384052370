#include "optimizer/penalty.h"

#include "optimizer/ranges.h"

namespace fastconv {

size_t penalty_workspace_bytes(int64_t size, int64_t ranges) {
  return size_t(Ranges::most_parts(ranges, size)) * sizeof(float);
}

void penalty(const float* w, float* dw, const Ranges& ranges, const float* rates, int64_t samples, double* total,
             float* partial) {
  const auto kernel = FASTCONV_PICK(penalty_range);
  ranges.for_each_part([&](const Ranges::Part& p) {
    const float* rate = rates + 3 * p.range;
    partial[p.index] = float(kernel(w, dw, rate[0], rate[1], rate[2] != 0.0f, p.begin, p.end));
  });
  double sum = 0.0;
  for (int64_t i = 0; i < ranges.parts(); ++i) sum += double(partial[i]);
  *total = double(samples) * sum;
}

}  // namespace fastconv
