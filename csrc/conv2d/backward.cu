// wgrad and dgrad in one kernel where the shape fits it, else one after the other. Each kernel makes dy of its arguments on
// load, so that it is never stored; two use the workspace in turn.
#include <algorithm>
#include <type_traits>

#include "common/cuda.cuh"
#include "conv2d/backward.cuh"

namespace fastconv::cuda {

size_t conv2d_wgrad_workspace_bytes(const Conv2DGeometry& g) { return wgrad_workspace_bytes(g); }

template <class Number>
void conv2d_wgrad(const Conv2DGeometry& g, const Conv2DInputOf<Number>& x, const Number* dy, float* dw, float* db,
                  Precision precision, float* workspace, void* stream) {
  Conv2DBackwardOf<Number> a = {};
  a.x = x;
  a.dy = dy;
  a.dw = dw;
  a.db = db;
  wgrad(g, a, precision, workspace, stream);
}

size_t conv2d_dgrad_workspace_bytes(const Conv2DGeometry& g) { return dgrad_workspace_bytes(g, false); }

template <class Number>
void conv2d_dgrad(const Conv2DGeometry& g, const Number* dy, const float* w, Number* dx, Precision precision,
                  float* workspace, void* stream) {
  Conv2DBackwardOf<Number> a = {};
  a.dy = dy;
  a.w = w;
  a.dx = dx;
  dgrad(g, a, precision, workspace, stream);
}

bool conv2d_backward_is_joint(const Conv2DGeometry& g, const Conv2DGeometry* x_source) {
  return joint_fits(g, x_source);
}

size_t conv2d_backward_workspace_bytes(const Conv2DGeometry& g, bool dx, bool x_gradients,
                                       const Conv2DGeometry* x_source) {
  const size_t joint = (dx || x_source) && joint_fits(g, x_source) ? joint_workspace_bytes(g, x_source) : 0;
  return std::max({joint, wgrad_workspace_bytes(g), dx ? dgrad_workspace_bytes(g, x_gradients) : 0});
}

template <class Number>
void conv2d_backward(const Conv2DGeometry& g, const Conv2DBackwardOf<Number>& a, Precision precision, float* workspace,
                     void* stream) {
  if constexpr (std::is_same_v<Number, float>) {
    const Conv2DGeometry* x_source = a.x_source ? &a.x_source->geometry : nullptr;
    if ((a.dx || x_source) && joint_fits(g, x_source)) return joint_backward(g, a, precision, workspace, stream);
  }
  wgrad(g, a, precision, workspace, stream);
  if (a.dx) dgrad(g, a, precision, workspace, stream);
}

#define FASTCONV_INSTANTIATE(Number)                                                                                 \
  template void conv2d_wgrad(const Conv2DGeometry&, const Conv2DInputOf<Number>&, const Number*, float*, float*,     \
                             Precision, float*, void*);                                                              \
  template void conv2d_dgrad(const Conv2DGeometry&, const Number*, const float*, Number*, Precision, float*, void*); \
  template void conv2d_backward(const Conv2DGeometry&, const Conv2DBackwardOf<Number>&, Precision, float*, void*)
FASTCONV_INSTANTIATE(float);
FASTCONV_INSTANTIATE(BFloat16);

}  // namespace fastconv::cuda
