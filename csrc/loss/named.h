// A function by its name, for the bindings of both modules.
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
#define FASTCONV_ENTRY(name, function) {#name, LossFunction::name},
      FASTCONV_LOSSES(FASTCONV_ENTRY)
#undef FASTCONV_ENTRY
  };
  std::string names;
  for (const auto& known : kKnown) {
    if (name == known.name) return {known.kind, float(parameter)};
    names += (names.empty() ? "" : ", ") + std::string(known.name);
  }
  fail("function", "one of " + names, name);
}

}  // namespace fastconv
