#include "sum/sum.h"

#include <algorithm>
#include <string>

#include "common/errors.h"
#include "common/parallel.h"

namespace fastconv {
namespace {

constexpr int64_t kPartElements = 32 * 1024, kMaxParts = 16;

// Rows of a part; the last may have fewer.
int64_t part_rows(const Extents& e) {
  const int64_t rows = e.p * e.r, parts = std::clamp<int64_t>(e.count() / kPartElements, 1, kMaxParts);
  return (rows + parts - 1) / parts;
}

int64_t parts_of(const Extents& e) { return (e.p * e.r + part_rows(e) - 1) / part_rows(e); }

}  // namespace

size_t sum_workspace_bytes(const Extents& extents) {
  return size_t(parts_of(extents) * extents.small_count() + 1) * sizeof(double);  // one to begin on a multiple of 8
}

void sum_forward(const float* x, float* y, const Extents& extents, float* workspace, size_t workspace_bytes) {
  if (workspace_bytes < sum_workspace_bytes(extents))
    fail("sum_forward", std::to_string(sum_workspace_bytes(extents)) + " bytes of workspace",
         std::to_string(workspace_bytes));
  double* sums = reinterpret_cast<double*>((reinterpret_cast<uintptr_t>(workspace) + 7) / 8 * 8);
  const auto kernel = FASTCONV_PICK(sum_rows);
  const int64_t parts = parts_of(extents), rows = part_rows(extents), results = extents.small_count();
  parallel_for(parts, num_threads(), [&](int64_t part, int) {
    kernel(x, sums + part * results, extents, part * rows, std::min((part + 1) * rows, extents.p * extents.r));
  });
  for (int64_t i = 0; i < results; ++i) {
    double sum = 0.0;
    for (int64_t part = 0; part < parts; ++part) sum += sums[part * results + i];
    y[i] = float(sum);
  }
}

}  // namespace fastconv
