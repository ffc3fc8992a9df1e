// What a one-dimensional convolution does to its sums before it stores them.
#pragma once

#include "kernels/kernels.h"

#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

inline F32 relu(F32 v) { return choose_by_sign(v, v, set_f32(0.0f)); }
inline F32 lrelu(F32 v, F32 slope) { return choose_by_sign(v, v, mul(v, slope)); }

// tanh_f32 of elementary.h in every lane.
inline F32 tanh_lanes(F32 x) {
  const F32 least = set_f32(-7.9f), most = set_f32(7.9f), one = set_f32(1.0f);
  x = choose_by_sign(sub(x, least), x, least);
  x = choose_by_sign(sub(most, x), x, most);
  const F32 z = mul(x, x);
  F32 p = madd(set_f32(0x1.0913f6p-26f), z, set_f32(0x1.7181f2p-16f));
  F32 q = madd(set_f32(0x1.cdad96p-21f), z, set_f32(0x1.6701e6p-12f));
  p = madd(p, z, set_f32(0x1.d51d50p-9f));
  q = madd(q, z, set_f32(0x1.ad234ap-6f));
  p = madd(p, z, set_f32(0x1.13784ap-3f));
  q = madd(q, z, set_f32(0x1.df1176p-2f));
  return div(mul(x, madd(p, z, one)), madd(q, z, one));
}

inline F32 activated(F32 v, Activation activation, float slope) {
  if (activation == Activation::relu) return relu(v);
  if (activation == Activation::lrelu) return lrelu(v, set_f32(slope));
  if (activation == Activation::tanh) return tanh_lanes(v);
  return v;
}

}  // namespace
}  // namespace DSB_VARIANT
}  // namespace dsb
