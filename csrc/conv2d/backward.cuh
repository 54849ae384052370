// Both passes of backward, for conv2d_backward and for one of them alone; what is null in `a` is left out.
#pragma once
#include "conv2d/conv2d.h"

namespace fastconv::cuda {

size_t wgrad_workspace_bytes(const Conv2DGeometry& g);
void wgrad(const Conv2DGeometry& g, const Conv2DBackward& a, Precision precision, float* workspace, void* stream);

size_t dgrad_workspace_bytes(const Conv2DGeometry& g, bool x_gradients);
void dgrad(const Conv2DGeometry& g, const Conv2DBackward& a, Precision precision, float* workspace, void* stream);

}  // namespace fastconv::cuda
