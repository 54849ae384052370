// A function of two tensors by its name, for the bindings of both modules.
#pragma once
#include <string>
#include <vector>

#include "binary/binary.h"
#include "common/errors.h"

namespace fastconv {

// Throws std::invalid_argument on a name that is not known.
inline Binary binary_named(const std::string& name) {
#define FASTCONV_IF_NAMED(known, function) \
  if (name == #known) return Binary::known;
  FASTCONV_BINARY_FUNCTIONS(FASTCONV_IF_NAMED)
#undef FASTCONV_IF_NAMED
  fail("function", "the name of a function of two tensors", "function=" + name);
}

// Throws std::invalid_argument unless there are four positive numbers.
inline Extents extents_of(const std::vector<int64_t>& sizes) {
  require(sizes.size() == 4, "extents", "four positive numbers", static_cast<long long>(sizes.size()));
  for (const int64_t size : sizes) require(size > 0, "extents", "four positive numbers", size);
  return {sizes[0], sizes[1], sizes[2], sizes[3]};
}

}  // namespace fastconv
