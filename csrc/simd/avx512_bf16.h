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
inline Pairs round_pairs(F32 first, F32 second) {
  const __m512i turns = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return {_mm512_permutexvar_epi16(turns, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second.v, first.v)))};
}

// sum + a.second * b.second + a.first * b.first by vdpbf16ps, which takes denormal numbers for zero, gives zero for
// denormal sums and rounds to nearest whatever MXCSR says.
inline F32 dot_pairs(Pairs a, Pairs b, F32 sum) {
  return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))};
}

}  // namespace
}  // namespace DSB_VARIANT
}  // namespace dsb
