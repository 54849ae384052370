// Both passes of backward, for conv2d_backward and for one of them alone; what is null in `a` is left out.
#pragma once
#include "conv2d/conv2d.h"

namespace fastconv::cuda {

size_t wgrad_workspace_bytes(const Conv2DGeometry& g);
template <class Number>
void wgrad(const Conv2DGeometry& g, const Conv2DBackwardOf<Number>& a, Precision precision, float* workspace,
           void* stream);

size_t dgrad_workspace_bytes(const Conv2DGeometry& g, bool x_gradients);
template <class Number>
void dgrad(const Conv2DGeometry& g, const Conv2DBackwardOf<Number>& a, Precision precision, float* workspace,
           void* stream);

}  // namespace fastconv::cuda
