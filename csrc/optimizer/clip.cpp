#include "optimizer/clip.h"

#include <cmath>

#include "optimizer/ranges.h"
#include "optimizer/settings.h"

namespace fastconv {
namespace {

// What brings a range with this sum of squares to the norm; NaN if the sum is not finite.
float clip_factor(double sum, float norm) {
  const double n = std::sqrt(sum);
  return n <= norm ? 1.0f : float(norm / n + (n - n));
}

}  // namespace

size_t clip_by_norm_workspace_bytes(int64_t size, int64_t ranges) {
  return size_t(Ranges::most_parts(ranges, size)) * sizeof(float);
}

void clip_by_norm(float* dw, const Ranges& ranges, float norm, float* partial) {
  check_positive(norm, "clip_by_norm", "norm");
  const auto sum_of_squares = FASTCONV_PICK(sum_of_squares);
  const auto scale_range = FASTCONV_PICK(scale_range);
  ranges.for_each_part([&](const Ranges::Part& p) { partial[p.index] = float(sum_of_squares(dw, p.begin, p.end)); });
  for (int64_t range = 0, first = 0; range < ranges.count; ++range) {
    const int64_t parts = ranges.parts_of(range);
    double sum = 0.0;
    for (int64_t i = first; i < first + parts; ++i) sum += double(partial[i]);
    if (parts > 0) partial[first] = clip_factor(sum, norm);
    first += parts;
  }
  ranges.for_each_part([&](const Ranges::Part& p) {
    const float factor = partial[p.first];
    if (std::isnan(factor)) {
      for (int64_t i = p.begin; i < p.end; ++i)
        if (dw[i] != 0.0f) dw[i] = factor;
    } else if (factor != 1.0f) {
      scale_range(dw, factor, p.begin, p.end);
    }
  });
}

void clip_by_value(float* dw, int64_t count, float limit) {
  check_positive(limit, "clip_by_value", "limit");
  const auto kernel = FASTCONV_PICK(clip_by_value_range);
  const int64_t bounds[] = {0, count};
  Ranges{bounds, 1}.for_each_part([&](const Ranges::Part& p) { kernel(dw, limit, p.begin, p.end); });
}

}  // namespace fastconv
