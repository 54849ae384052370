// LossSettings come as a tuple (samples, sample_weight, label_smoothing, weight); labels are int32 where `numbers`, else
// float32.
#pragma once
#include "bind/cuda/pointers.h"
#include "loss/settings.h"

namespace pybind11::detail {

template <>
struct type_caster<fastconv::LossSettings> {
  PYBIND11_TYPE_CASTER(fastconv::LossSettings, const_name("tuple"));

  bool load(handle source, bool) {
    const auto [samples, sample_weight, label_smoothing, weight] =
        source.cast<std::tuple<int64_t, fastconv::bind::Address, double, double>>();
    value = {samples, fastconv::bind::at<const float>(sample_weight), float(label_smoothing), weight};
    return true;
  }
};

}  // namespace pybind11::detail

namespace fastconv::bind {

template <typename Run>
void with_labels(Address labels, bool numbers, Run&& run) {
  if (numbers)
    run(at<const int32_t>(labels));
  else
    run(at<const float>(labels));
}

}  // namespace fastconv::bind
