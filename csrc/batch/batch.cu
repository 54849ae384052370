#include <cmath>

#include "batch/batch.h"
#include "common/cuda.cuh"

namespace fastconv::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kChunk = 4 * kThreads;  // numbers of a sample that a block copies

// Blocks take the chunks of one sample after another; the first of a sample takes its labels, too.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(Global<const T> data, Global<const uint32_t> labels, Global<const int64_t> order,
                  Global<const int64_t> position, Global<float> x, Global<uint32_t> y, int64_t size, int64_t label_size,
                  int64_t chunks, float scale, float offset) {
  const int64_t i = block_x() / chunks, chunk = block_x() % chunks;
  const int64_t sample = order.load(position.load(0) + i);
  const int64_t end = (chunk + 1) * kChunk < size ? (chunk + 1) * kChunk : size;
  for (int64_t k = chunk * kChunk + thread(); k < end; k += kThreads)
    x.store(i * size + k, fmaf(float(data.load(sample * size + k)), scale, offset));
  if (chunk > 0) return;
  for (int64_t k = thread(); k < label_size; k += kThreads)
    y.store(i * label_size + k, labels.load(sample * label_size + k));
}

__global__ void __launch_bounds__(kWarp)
    advance_kernel(int64_t batch, Global<int64_t> position, Global<int64_t> step, Global<const double> totals,
                   Global<double> running, int64_t sums) {
  if (thread() == 0) position.store(0, position.load(0) + batch);
  if (thread() == 0 && step) step.store(0, step.load(0) + 1);
  for (int64_t i = thread(); i < sums; i += kWarp) running.store(i, running.load(i) + totals.load(i));
}

__global__ void __launch_bounds__(kWarp) set_number_kernel(Global<float> x, float value) {
  if (thread() == 0) x.store(0, value);
}

template <typename T>
void gather(const T* data, const Dataset& dataset, const int64_t* position, float* x, uint32_t* y, int64_t batch,
            float scale, float offset, void* stream) {
  const int64_t samples = dataset.samples, size = dataset.size, label_size = dataset.label_size;
  const int64_t chunks = size > 0 ? (size + kChunk - 1) / kChunk : 1;  // one where there are labels alone
  launch("gather_batch", gather_kernel<T>, {batch * chunks}, kThreads, 0, Stream(stream), global(data, samples * size),
         global(dataset.labels, samples * label_size), global(dataset.order, samples), global(position, 1),
         global(x, batch * size), global(y, batch * label_size), size, label_size, chunks, scale, offset);
}

}  // namespace

void gather_batch(const uint8_t* data, const Dataset& dataset, const int64_t* position, float* x, uint32_t* y,
                  int64_t batch, float scale, float offset, void* stream) {
  gather(data, dataset, position, x, y, batch, scale, offset, stream);
}

void gather_batch(const float* data, const Dataset& dataset, const int64_t* position, float* x, uint32_t* y,
                  int64_t batch, float scale, float offset, void* stream) {
  gather(data, dataset, position, x, y, batch, scale, offset, stream);
}

void advance(int64_t batch, int64_t* position, int64_t* step, const double* totals, double* running, int64_t sums,
             void* stream) {
  launch("advance", advance_kernel, {}, kWarp, 0, Stream(stream), batch, global(position, 1), global(step, 1),
         global(totals, sums), global(running, sums), sums);
}

void set_number(float* x, float value, void* stream) {
  launch("set_number", set_number_kernel, {}, kWarp, 0, Stream(stream), global(x, 1), value);
}

}  // namespace fastconv::cuda
