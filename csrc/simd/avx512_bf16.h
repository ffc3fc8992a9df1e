// AVX-512 with bfloat16 dot products; float32 work is that of avx512.
#pragma once

#include "simd/avx512.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

// Rounded to nearest, ties to even, denormal numbers to zero, as which dot_pairs takes them.
inline void store_bf16(F32 a, uint16_t* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a.v)));
}

// sum + a.second * b.second + a.first * b.first by vdpbf16ps, which takes denormal numbers for zero, gives zero for
// denormal sums and rounds to nearest whatever MXCSR says.
inline F32 dot_pairs(Pairs a, Pairs b, F32 sum) {
  return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))};
}

}  // namespace
}  // namespace DSB_VARIANT
}  // namespace dsb
