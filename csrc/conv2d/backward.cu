// wgrad and dgrad, one after the other: each makes dy of its arguments on load, so that it is never stored. They use the
// workspace in turn.
#include <algorithm>

#include "conv2d/backward.cuh"

namespace fastconv::cuda {

size_t conv2d_wgrad_workspace_bytes(const Conv2DGeometry& g) { return wgrad_workspace_bytes(g); }

void conv2d_wgrad(const Conv2DGeometry& g, const Conv2DInput& x, const float* dy, float* dw, float* db,
                  Precision precision, float* workspace, void* stream) {
  Conv2DBackward a = {};
  a.x = x;
  a.dy = dy;
  a.dw = dw;
  a.db = db;
  wgrad(g, a, precision, workspace, stream);
}

size_t conv2d_dgrad_workspace_bytes(const Conv2DGeometry& g) { return dgrad_workspace_bytes(g, false); }

void conv2d_dgrad(const Conv2DGeometry& g, const float* dy, const float* w, float* dx, Precision precision,
                  float* workspace, void* stream) {
  Conv2DBackward a = {};
  a.dy = dy;
  a.w = w;
  a.dx = dx;
  dgrad(g, a, precision, workspace, stream);
}

size_t conv2d_backward_workspace_bytes(const Conv2DGeometry& g, bool dx, bool x_gradients) {
  return std::max(wgrad_workspace_bytes(g), dx ? dgrad_workspace_bytes(g, x_gradients) : 0);
}

void conv2d_backward(const Conv2DGeometry& g, const Conv2DBackward& a, Precision precision, float* workspace,
                     void* stream) {
  wgrad(g, a, precision, workspace, stream);
  if (a.dx) dgrad(g, a, precision, workspace, stream);
}

}  // namespace fastconv::cuda
