// Where Winograd's algorithm is chosen, and its weights.
#include <atomic>

#include "common/parallel.h"
#include "conv2d/winograd_pass.h"

namespace fastconv {
namespace {

std::atomic<bool> allowed{true};

}  // namespace

void conv2d_allow_winograd(bool allow) noexcept { allowed = allow; }
bool conv2d_allows_winograd() noexcept { return allowed; }

bool conv2d_uses_winograd(const Conv2DGeometry& g) {
  if (!allowed || g.r != 3 || g.s != 3 || g.stride_h != 1 || g.stride_w != 1) return false;
  // All of x is read by y, and all of dy by dx: what "same" and "valid" lead to.
  const bool usual =
      g.pad_top + g.h <= g.p + 2 && g.pad_left + g.w <= g.q + 2 && g.p <= g.h + g.pad_top && g.q <= g.w + g.pad_left;
  // Transformed weights that exceed the last-level cache come from memory for every few tiles: 512>512 at 16 x 16 fell to
  // half the direct speed on 32 MiB of it (EPYC Zen 5, 2026-11-23).
  constexpr int64_t kImages = 16, kMostWeights = 4 * 1024 * 1024;
  const bool cached = 36 * g.c * g.k <= kMostWeights;
  return usual && cached && winograd_pays({kImages, g.p, g.q, g.c, g.k}, WinogradUse::fprop) &&
         winograd_pays({kImages, g.h, g.w, g.k, g.c}, WinogradUse::fprop) &&
         winograd_pays({kImages, g.p, g.q, g.c, g.k}, WinogradUse::wgrad);
}

void WinogradPass::weights(const float* w, bool transposed, float* u) const {
  constexpr int64_t kChannels = 8;
  const auto kernel = FASTCONV_PICK(winograd_weights);
  parallel_for(ceil_div(shape.c, kChannels), num_threads(), [&](int64_t item, int) {
    const int64_t begin = item * kChannels;
    kernel(w, shape.c, shape.k, transposed, begin, std::min(begin + kChannels, shape.c), u);
  });
}

}  // namespace fastconv
