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

// Both at once, where they fit; with `source` (else null) the weight gradient of the convolution that made x too.
bool joint_fits(const Conv2DGeometry& g, const Conv2DGeometry* source);
size_t joint_workspace_bytes(const Conv2DGeometry& g, const Conv2DGeometry* source);
void joint_backward(const Conv2DGeometry& g, const Conv2DBackward& a, Precision precision, float* workspace,
                    void* stream);

// Ends the sums of a source, joint_source.cuh.
struct SourcePartials {
  const float* sums;
  int64_t blocks, entries, channels;
};
void finish_source(const SourcePartials& partials, const BatchNormTransform& norm, const BatchNormGradients& gradients,
                   float* dw, void* stream);

}  // namespace fastconv::cuda
