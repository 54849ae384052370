// Host side of conv2d that all passes share: the check of a geometry.
#include "conv2d/conv2d.h"

#include <limits>
#include <string>

#include "common/errors.h"

namespace fastconv {
namespace {

int64_t product(std::initializer_list<int64_t> factors, const char* what) {
  int64_t total = 1;
  for (int64_t f : factors)
    if (__builtin_mul_overflow(total, f, &total) || total > std::numeric_limits<int64_t>::max() / 16)
      fail("conv2d", std::string("a size of ") + what + " that fits in memory", "an overflow of 64 bits");
  return total;
}

}  // namespace

void conv2d_check(const Conv2DGeometry& g) {
  require(g.n > 0, "conv2d", "n > 0", g.n);
  require(g.h > 0, "conv2d", "h > 0", g.h);
  require(g.w > 0, "conv2d", "w > 0", g.w);
  require(g.c > 0, "conv2d", "c > 0", g.c);
  require(g.k > 0, "conv2d", "k > 0", g.k);
  require(g.r > 0, "conv2d", "r > 0", g.r);
  require(g.s > 0, "conv2d", "s > 0", g.s);
  require(g.p > 0, "conv2d", "p > 0", g.p);
  require(g.q > 0, "conv2d", "q > 0", g.q);
  require(g.stride_h > 0, "conv2d", "stride_h > 0", g.stride_h);
  require(g.stride_w > 0, "conv2d", "stride_w > 0", g.stride_w);
  require(g.pad_top >= 0 && g.pad_top < g.r, "conv2d", "0 <= pad_top < r", g.pad_top);
  require(g.pad_left >= 0 && g.pad_left < g.s, "conv2d", "0 <= pad_left < s", g.pad_left);
  product({g.n, g.h, g.w, g.c}, "x");
  product({g.n, g.p, g.q, g.k}, "y");
  product({g.r, g.s, g.c, g.k}, "w");
  product({g.q + g.s, g.stride_w, g.c}, "a padded row");
  product({g.p + g.r, g.stride_h}, "the padded rows");
}

}  // namespace fastconv
