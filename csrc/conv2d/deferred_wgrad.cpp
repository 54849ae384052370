#include "conv2d/deferred_wgrad.h"

#include "common/parallel.h"

namespace fastconv {

namespace {

double* sums_of(const DeferredWgrad& wgrad, float* memory, int64_t part) {
  constexpr uintptr_t kDouble = sizeof(double);
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(memory) + kDouble - 1) / kDouble * kDouble;
  return reinterpret_cast<double*>(begin) + part * whole_lines(2 * wgrad.sums) / 2;
}

}  // namespace

// The sums: of p (x) dz; of p (x) p, as matrices of run x run products, that of filter rows r and r + d at r * g.r + d;
// of p, as sums over columns of x for each filter row, then, at the end, as such. What all filter rows share lies at
// r = g.r.
DeferredWgrad::DeferredWgrad(const Conv2DGeometry& geometry)
    : g(geometry),
      layout(conv2d_x_layout(g, false)),
      run(g.s * g.c),
      squares(g.r * run * g.k),
      columns(squares + (g.r + 1) * g.r * run * run),
      inputs(columns + (g.r + 1) * layout.pitch()),
      sums(inputs + g.r * run),
      slot(layout.floats(g.h) + whole_lines(inputs)) {}

void DeferredWgrad::begin(float* memory, int64_t part) const {
  std::memset(sums_of(*this, memory, part), 0, sizeof(double) * sums);
}

void DeferredWgrad::add(const float* x, int64_t image, const float* dz, float* memory, int64_t part,
                        float* scratch) const {
  const auto add_squares = FASTCONV_PICK(conv2d_wgrad_squares);
  const auto add_columns = FASTCONV_PICK(conv2d_wgrad_bias);
  const Conv2DRows in = x_rows(layout, x + image * g.h * g.w * g.c, nullptr, 0, g.h, scratch);
  float* of_image = scratch + layout.floats(g.h);
  std::memset(of_image, 0, sizeof(float) * inputs);
  FASTCONV_PICK(conv2d_wgrad_rows)(g, in, {dz, 0, g.q * g.k}, of_image, nullptr, 0, g.p, 0, run);

  Conv2DGeometry row_of_x = g;  // as one pixel of dy, whose sum over rows is a bias gradient
  row_of_x.q = 1;
  row_of_x.k = in.pitch;
  for (int64_t d = 0; d < g.r; ++d) {
    const auto add_rows = [&](int64_t r, int64_t begin, int64_t end) {
      const int64_t rows = ceil_div(end - begin, g.stride_h);
      if (rows <= 0) return;
      const float* from = in.at + begin * in.pitch;
      add_squares(g, from, from + d * in.pitch, in.pitch, rows, of_image + squares + (r * g.r + d) * run * run);
      if (d == 0) add_columns(row_of_x, {from, 0, g.stride_h * in.pitch}, of_image + columns + r * in.pitch, 0, rows);
    };
    // The rows of x that filter row r meets while filter row r + d meets one too.
    const auto begin_of = [&](int64_t r) {
      return r - g.pad_top + round_up(std::max<int64_t>(g.pad_top - r, 0), g.stride_h);
    };
    const auto end_of = [&](int64_t r) { return std::min(r - g.pad_top + (g.p - 1) * g.stride_h + 1, g.h - d); };
    const int64_t shared = begin_of(g.r - 1 - d), shared_end = end_of(0);
    const bool shares = g.stride_h == 1 && shared < shared_end;
    if (shares) add_rows(g.r, shared, shared_end);
    for (int64_t r = 0; r + d < g.r; ++r) {
      add_rows(r, begin_of(r), shares ? shared : end_of(r));
      if (shares) add_rows(r, shared_end, end_of(r));
    }
  }
  double* to = sums_of(*this, memory, part);
  for (int64_t i = 0; i < inputs; ++i) to[i] += of_image[i];
}

void DeferredWgrad::finish(float* memory, int64_t parts, const float* w, const BatchNormTransform& norm,
                           const BatchNormGradients& gradients, float* dw) const {
  constexpr int64_t kChunk = 256, kFilters = 64;
  const int64_t rows = g.r * run;  // of dw
  double *total = sums_of(*this, memory, 0), *of_input = total + inputs;
  parallel_for(ceil_div(inputs, kChunk), num_threads(), [&](int64_t item, int) {
    const int64_t end = std::min((item + 1) * kChunk, inputs);
    for (int64_t part = 1; part < parts; ++part) {
      const double* from = sums_of(*this, memory, part);
      for (int64_t i = item * kChunk; i < end; ++i) total[i] += from[i];
    }
  });
  for (int64_t r = 0; r < g.r; ++r)
    for (int64_t row : {r, g.r})
      for (int64_t q = 0; q < g.q; ++q)
        for (int64_t i = 0; i < run; ++i)
          of_input[r * run + i] += total[columns + row * layout.pitch() + q * g.stride_w * g.c + i];
  const auto square = [&](int64_t i, int64_t j) {  // row of i <= row of j
    const double* of_d = total + squares + (j / run - i / run) * run * run + i % run * run + j % run;
    return of_d[i / run * g.r * run * run] + of_d[g.r * g.r * run * run];
  };
  parallel_for(rows, num_threads(), [&](int64_t i, int) {
    const double mean = of_input[i] / double(g.n * g.p * g.q);
    for (int64_t k = 0; k < g.k; k += kFilters) {
      const int64_t filters = std::min(kFilters, g.k - k);
      double of_y[kFilters] = {};  // sum p (x) (y - mean)
      for (int64_t j = 0; j < rows; ++j) {
        const double covariance = (i / run <= j / run ? square(i, j) : square(j, i)) - mean * of_input[j];
        for (int64_t f = 0; f < filters; ++f) of_y[f] += covariance * w[j * g.k + k + f];
      }
      for (int64_t f = k; f < k + filters; ++f) {
        const double scale = double(norm.rstd[f]) * (norm.gamma ? norm.gamma[f] : 1.0f);
        dw[i * g.k + f] =
            float(scale * total[i * g.k + f] + gradients.slope_x[f] * of_y[f - k] + gradients.offset[f] * of_input[i]);
      }
    }
  });
}

}  // namespace fastconv
