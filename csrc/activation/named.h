// An activation by its name, for the bindings of both modules.
#pragma once
#include <string>
#include <vector>

#include "activation/activation.h"
#include "common/errors.h"

namespace fastconv {

// Throws std::invalid_argument on a name that is not known or another number of parameters.
inline ActivationFunction activation_named(const std::string& name, const std::vector<float>& parameters) {
  const auto made = [&](Activation activation, size_t count) {
    require(parameters.size() == count, "parameters of " + name, std::to_string(count).c_str(),
            static_cast<long long>(parameters.size()));
    const auto at = [&](size_t i) { return i < count ? parameters[i] : 0.0f; };
    return ActivationFunction{activation, at(0), at(1), at(2)};
  };
#define FASTCONV_IF_NAMED(known, function, parameters) \
  if (name == #known) return made(Activation::known, parameters);
  FASTCONV_ACTIVATIONS(FASTCONV_IF_NAMED)
#undef FASTCONV_IF_NAMED
  fail("function", "the name of an activation", "function=" + name);
}

}  // namespace fastconv
