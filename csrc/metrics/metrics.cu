// Metrics on the GPU: one block each.
#include "common/block_sum.cuh"
#include "metrics/metrics.h"
#include "softmax_xent/rows.cuh"

namespace fastconv::cuda {
namespace {

constexpr int kChunk = kSumThreads;  // elements whose places all threads then look through
constexpr int kChunkBytes = kChunk * int(sizeof(int32_t) + sizeof(float));

template <typename Label>
__global__ void __launch_bounds__(kSumThreads)
    accuracy_kernel(Rows r, SampleWeights weights, Global<const float> x, Global<const Label> labels,
                    Global<double> totals, int64_t k) {
  double sums[2] = {0.0, 0.0};
  r.for_each([&](int64_t row, int64_t classes) {
    const int64_t first = row * r.classes;
    const Largest largest = largest_of(r, x, first, classes);
    Largest label;
    r.for_each_class(classes, [&](int64_t c) { label.add({label_at(labels, r, weights, row, c), c}); });
    label.share(r);
    const bool known = classes > 0 && label.value == label.value && label.index < classes;
    const float at_label = known ? x.load(first + label.index) : 0.0f;
    double larger = 0.0, odd = 0.0;
    r.for_each_class(classes, [&](int64_t c) {
      const float value = x.load(first + c);
      larger += value > at_label;
      odd += !(value - value == 0.0f);
    });
    larger = r.sum(larger);
    odd = r.sum(odd);
    if (classes == 0 || !r.leads()) return;
    const bool found = k == 0 ? largest.index == label.index : odd == 0.0 && larger < double(k);
    const double weight = weights.of(row);
    sums[0] += known && found ? weight : 0.0;
    sums[1] += weight;
  });
  const double total = block_sum(sums);
  if (thread() < 2) totals.store(thread(), total / double(weights.items));
}

// Where elements are counted is written to shared memory, a chunk at a time; then each thread adds up one place.
__global__ void __launch_bounds__(kSumThreads)
    confusion_kernel(SampleWeights weights, Global<const float> x, Global<const float> target,
                     Global<const float> thresholds, Global<double> totals, int64_t count, int threshold_count) {
  const Shared<int32_t> places = shared<int32_t>(0, kChunk);
  const Shared<float> amounts = shared<float>(kChunk * int(sizeof(int32_t)), kChunk);
  const int place_count = 2 * (threshold_count + 1);
  for (int base = 0; base < place_count; base += threads()) {
    double sum = 0.0;
    for (int64_t first = 0; first < count; first += kChunk) {
      const int64_t i = first + thread();
      if (i < count) {
        const float value = x.load(i);
        const bool is_nan = value != value;
        int below = 0, above = threshold_count;  // the number of thresholds below the value is one of these or between
        while (below < above) {
          const int middle = (below + above) / 2;
          if (is_nan || thresholds.load(middle) < value)
            below = middle + 1;
          else
            above = middle;
        }
        places.store(thread(), below + (target.load(i) != 0.0f ? 0 : threshold_count + 1));
        amounts.store(thread(), is_nan ? NAN : float(weights.of(i)));
      }
      sync();
      const int here = int(count - first < kChunk ? count - first : kChunk);
      for (int k = 0; k < here; ++k)
        if (places.load(k) == base + thread()) sum += amounts.load(k);
      sync();
    }
    if (base + thread() < place_count) totals.store(base + thread(), sum);
  }
}

template <typename Label>
void accuracy(const float* x, const Label* labels, const float* sample_weight, double* totals, int64_t k,
              int64_t samples, int64_t rows, int64_t classes, void* stream) {
  launch("categorical_accuracy", accuracy_kernel<Label>, {}, kSumThreads, block_sum_bytes(2, kSumThreads),
         Stream(stream), rows_of(rows, classes), sample_weights({samples, sample_weight}, rows, classes),
         global(x, rows * classes), global_labels(labels, rows, classes), global(totals, 2), k);
}

}  // namespace

void categorical_accuracy(const float* x, const float* labels, const float* sample_weight, double* totals, int64_t k,
                          int64_t samples, int64_t rows, int64_t classes, void* stream) {
  accuracy(x, labels, sample_weight, totals, k, samples, rows, classes, stream);
}

void categorical_accuracy(const float* x, const int32_t* labels, const float* sample_weight, double* totals, int64_t k,
                          int64_t samples, int64_t rows, int64_t classes, void* stream) {
  accuracy(x, labels, sample_weight, totals, k, samples, rows, classes, stream);
}

void confusion(const float* x, const float* target, const float* thresholds, const float* sample_weight, double* totals,
               int64_t samples, int64_t count, int64_t threshold_count, void* stream) {
  launch("confusion", confusion_kernel, {}, kSumThreads, kChunkBytes, Stream(stream),
         sample_weights({samples, sample_weight}, count, 2), global(x, count), global(target, count),
         global(thresholds, threshold_count), global(totals, 2 * (threshold_count + 1)), count, int(threshold_count));
}

}  // namespace fastconv::cuda
