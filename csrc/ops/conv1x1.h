// A convolution with a kernel of one point: a matrix product at every position.
#pragma once

#include "core/threads.h"
#include "ops/bias_act.h"
#include "ops/tensor.h"

namespace dsb {

struct Conv1x1 {
  const float* weight;  // [out channels, in channels]
  int64_t out_channels;
  const float* bias = nullptr;      // [out channels]
  const float* residual = nullptr;  // [N, out channels, H, W], added last
  ActivationOptions activation = {Activation::linear, 0.0f, 1.0f, -1.0f};
};

// x is [N, in channels, H, W], out [N, out channels, H, W]; out may be the residual, not x.
void conv1x1(const float* x, const Shape4& shape, const Conv1x1& conv, const Threads& threads, float* out);

}  // namespace dsb
