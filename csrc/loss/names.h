// The names of the functions, for both modules that know them by name.
#pragma once
#include <string>

#include "common/errors.h"
#include "loss/loss.h"

namespace fastconv {

// Throws std::invalid_argument on another name, with those there are.
inline LossFunction loss_function(const std::string& name, double parameter) {
  static constexpr struct {
    const char* name;
    LossFunction::Kind kind;
  } kKnown[] = {
      {"mean_squared_error", LossFunction::mean_squared_error},
      {"mean_absolute_error", LossFunction::mean_absolute_error},
      {"huber", LossFunction::huber},
      {"binary_crossentropy", LossFunction::binary_crossentropy},
      {"binary_crossentropy_of_logits", LossFunction::binary_crossentropy_of_logits},
      {"accuracy", LossFunction::accuracy},
      {"binary_accuracy", LossFunction::binary_accuracy},
  };
  std::string names;
  for (const auto& known : kKnown) {
    if (name == known.name) return {known.kind, float(parameter)};
    names += (names.empty() ? "" : ", ") + std::string(known.name);
  }
  fail("function", "one of " + names, name);
}

}  // namespace fastconv
