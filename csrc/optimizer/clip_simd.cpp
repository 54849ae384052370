// Clipping of elements [begin, end). Built once per instruction set. Bound by memory.
#include "optimizer/clip.h"
#include "optimizer/vectors.h"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr int64_t kRun = 512;  // elements whose squares are added in float: 8 a lane of the widest vector, four sums

inline double sum_of_run(const float* x, int64_t begin, int64_t end) noexcept {
  f32v sums[4] = {zero(), zero(), zero(), zero()};
  int64_t i = begin;
  for (; i + 4 * kLanes <= end; i += 4 * kLanes)
    for (int j = 0; j < 4; ++j) {
      const f32v v = load(x + i + j * kLanes);
      sums[j] = fma(v, v, sums[j]);
    }
  for_each_vector(i, end, [&](auto get, auto) {
    const f32v v = get(x);
    sums[0] = fma(v, v, sums[0]);
  });
  float lanes[kLanes];
  store(lanes, add(add(sums[0], sums[1]), add(sums[2], sums[3])));
  double total = 0.0;
  for (float lane : lanes) total += double(lane);
  return total;
}

}  // namespace

double sum_of_squares(const float* x, int64_t begin, int64_t end) noexcept {
  double total = 0.0;
  for (int64_t first = begin; first < end; first += kRun)
    total += sum_of_run(x, first, first + kRun < end ? first + kRun : end);
  return total;
}

void scale_range(float* x, float factor, int64_t begin, int64_t end) noexcept {
  const f32v by = broadcast(factor);
  for_each_vector(begin, end, [&](auto get, auto put) { put(x, mul(get(x), by)); });
}

void clip_by_value_range(float* dw, float limit, int64_t begin, int64_t end) noexcept {
  const f32v high = broadcast(limit), low = broadcast(-limit);
  for_each_vector(begin, end, [&](auto get, auto put) { put(dw, max(low, min(high, get(dw)))); });  // NaN stays
}

}  // namespace fastconv::FASTCONV_ISA
