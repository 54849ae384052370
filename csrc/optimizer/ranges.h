// Ranges of a flat array: where single weights lie in it. They are given as pairs [begin, end), ascending and apart.
#pragma once
#include <algorithm>

#include "common/parallel.h"

namespace fastconv {

struct Ranges {
  const int64_t* bounds;  // 2 * count
  int64_t count;

  static constexpr int64_t kPart = 16 * 1024;  // elements: 64 KiB of each array

  struct Part {
    int64_t range, index, first;  // its range; its number and that of its range's first part, among all parts
    int64_t begin, end;           // elements
  };

  int64_t parts_of(int64_t range) const { return (bounds[2 * range + 1] - bounds[2 * range] + kPart - 1) / kPart; }
  int64_t parts() const {
    int64_t sum = 0;
    for (int64_t range = 0; range < count; ++range) sum += parts_of(range);
    return sum;
  }
  // At least parts(), of ranges in an array of `size` elements.
  static int64_t most_parts(int64_t count, int64_t size) { return count + size / kPart; }

  // Calls body(part) for every part of every range; no part is empty.
  template <typename Body>
  void for_each_part(Body&& body) const {
    parallel_for(parts(), num_threads(), [&](int64_t item, int) {
      int64_t range = 0, first = 0;
      while (item - first >= parts_of(range)) first += parts_of(range++);
      const int64_t begin = bounds[2 * range] + (item - first) * kPart;
      body(Part{range, item, first, begin, std::min(begin + kPart, bounds[2 * range + 1])});
    });
  }
};

}  // namespace fastconv
