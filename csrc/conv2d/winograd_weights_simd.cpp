// U = G w G', the weights of Winograd's F(4x4, 3x3), as winograd_fprop reads them: [panel][point][c][width]. Built once
// per instruction set.
#include "conv2d/winograd_transforms.h"

namespace fastconv::FASTCONV_ISA {

void winograd_weights(const float* w, int64_t c_count, int64_t k_count, bool transposed, int64_t begin, int64_t end,
                      float* u) noexcept {
  const int64_t tap = c_count * k_count;
  for (int64_t c = begin; c < end; ++c)
    for (int64_t k = 0; k < k_count; k += kLanes) {
      const int64_t lanes = k_count - k < kLanes ? k_count - k : kLanes;
      f32v taps[9];
      for (int i = 0; i < 9; ++i) {
        if (transposed) {
          float gathered[kLanes] = {};
          for (int64_t l = 0; l < lanes; ++l) gathered[l] = w[(8 - i) * tap + (k + l) * c_count + c];
          taps[i] = load(gathered);
        } else {
          taps[i] = load_some(w + i * tap + c * k_count + k, lanes);
        }
      }
      const int64_t panel = k / kPanel * kPanel, width = panel_width(k_count - panel);
      float* to = u + panel_offset(c_count, panel) + c * width + (k - panel);
      Six columns[3];
      for (int j = 0; j < 3; ++j) columns[j] = transform_w(taps[j], taps[3 + j], taps[6 + j]);
      for (int i = 0; i < 6; ++i) {
        const Six out = transform_w(columns[0].v[i], columns[1].v[i], columns[2].v[i]);
        for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * panel_point(c_count, width), out.v[j]);
      }
    }
}

}  // namespace fastconv::FASTCONV_ISA
