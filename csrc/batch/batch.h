// What a training step on a GPU needs besides its plan, so that a captured step needs nothing of the host: its samples,
// gathered from a data set on the device, and the counters and totals that go on from step to step.
//   gather   x[i] = data[order[position + i]] * scale + offset,  y[i] = labels[order[position + i]]
//   advance  position += batch,  step += 1,  running += totals
//   set_number  x = value: a number that travels with the launch, so that the host waits for nothing
// Samples are `size` numbers (uint8 or float32), labels `label_size` words of 32 bits (int32 or float32, copied).
// `position` and `step` are one int64, read by the kernels; totals and running `sums` doubles. step may be null, and
// totals with running (sums 0 then). size may be 0, data and x null then; label_size likewise. No array may overlap
// another. order[position ... position + batch) must be there and name samples: neither is checked.
#pragma once
#include <cstdint>

namespace fastconv::cuda {

struct Dataset {
  const uint32_t* labels;
  const int64_t* order;
  int64_t samples, size, label_size;  // `samples` counts data, labels and order
};

void gather_batch(const uint8_t* data, const Dataset& dataset, const int64_t* position, float* x, uint32_t* y,
                  int64_t batch, float scale, float offset, void* stream);
void gather_batch(const float* data, const Dataset& dataset, const int64_t* position, float* x, uint32_t* y,
                  int64_t batch, float scale, float offset, void* stream);

void advance(int64_t batch, int64_t* position, int64_t* step, const double* totals, double* running, int64_t sums,
             void* stream);

void set_number(float* x, float value, void* stream);

}  // namespace fastconv::cuda
