// AVX-512 with bfloat16 dot products; float32 work is that of avx512.
#pragma once

#include "simd/avx512.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

// sum + a.second * b.second + a.first * b.first by vdpbf16ps, which takes denormal numbers for zero, gives zero for
// denormal sums and rounds to nearest whatever MXCSR says.
inline F32 dot_pairs(Pairs a, Pairs b, F32 sum) {
  return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))};
}

}  // namespace
}  // namespace DSB_VARIANT
}  // namespace dsb
