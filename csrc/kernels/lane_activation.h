// What a one-dimensional convolution does to its sums before it stores them.
#pragma once

#include "kernels/kernels.h"

#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

inline F32 activated(F32 v, Activation activation, float slope) {
  if (activation == Activation::relu) return choose_by_sign(v, v, set_f32(0.0f));
  if (activation == Activation::lrelu) return choose_by_sign(v, v, mul(v, set_f32(slope)));
  return v;
}

}  // namespace
}  // namespace DSB_VARIANT
}  // namespace dsb
