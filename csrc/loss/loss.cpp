#include "loss/loss.h"

#include <algorithm>

#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr int64_t kMinChunk = 4096;  // elements, some of which take a log each
constexpr int64_t kMaxParts = 64;    // each has its sum on the stack

}  // namespace

void loss(const LossFunction& function, const float* x, const float* target, const LossSettings& settings,
          double* totals, float* dx, int64_t count) {
  const auto kernel = FASTCONV_PICK(loss_range);
  const int64_t size = count / settings.samples;  // of a sample
  const int64_t chunk = std::max(kMinChunk, (count + kMaxParts - 1) / kMaxParts), parts = (count + chunk - 1) / chunk;
  const double share = settings.weight / double(count);
  double sums[kMaxParts];
  parallel_for(parts, num_threads(), [&](int64_t part, int) {
    const int64_t end = std::min((part + 1) * chunk, count);
    double sum = 0.0;
    for (int64_t i = part * chunk; i < end;) {
      const int64_t stop = settings.sample_weight ? std::min((i / size + 1) * size, end) : end;
      const float weight = settings.weight_of(i, count);
      sum += weight * kernel(function, x, target, settings.label_smoothing, float(share * weight), dx, i, stop);
      i = stop;
    }
    sums[part] = sum;
  });
  double sum = 0.0, weights = 0.0;
  for (int64_t part = 0; part < parts; ++part) sum += sums[part];
  for (int64_t i = 0; i < settings.samples; ++i) weights += settings.weight_of(i, settings.samples);
  totals[0] = sum / double(size);
  totals[1] = weights;
}

}  // namespace fastconv
