// The activations of ops.bias_act, with libm's functions: the GPU's results are near the CPU's, not equal.
#pragma once

#include <math.h>

#include "cuda/host_device.h"
#include "kernels/kernels.h"

namespace dsb {
namespace cuda {

DSB_HD float sigmoid(float v) {
  const float e = expf(v < 0.0f ? v : -v);
  return (v < 0.0f ? e : 1.0f) / (1.0f + e);
}

DSB_HD float activated(float v, const ActivationOptions& options) {
  switch (options.kind) {
    case Activation::linear:
      return v;
    case Activation::relu:
      return v < 0.0f ? 0.0f : v;
    case Activation::lrelu:
      return v < 0.0f ? v * options.alpha : v;
    case Activation::tanh:
      return tanhf(v);
    case Activation::sigmoid:
      return sigmoid(v);
    case Activation::elu:
      return v < 0.0f ? expm1f(v) : v;
    case Activation::selu:
      return 1.0507009873554805f * (v < 0.0f ? 1.6732632423543773f * expm1f(v) : v);
    case Activation::softplus:
      return (v > 0.0f ? v : 0.0f) + log1pf(expf(v > 0.0f ? -v : v));
    case Activation::swish:
      return v * sigmoid(v);
    case Activation::gelu:
      return 0.5f * v * erfcf(v * -0.70710678f);
  }
  return v;
}

// act(v) * gain, held to +-clamp; what is not a number stays so.
DSB_HD float finished(float v, const ActivationOptions& options) {
  v = activated(v, options) * options.gain;
  if (options.clamp < 0.0f) return v;
  v = v < -options.clamp ? -options.clamp : v;
  return v > options.clamp ? options.clamp : v;
}

}  // namespace cuda
}  // namespace dsb
