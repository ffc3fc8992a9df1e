// Terms of a sum of products: a number each in float32, a pair of numbers each in bfloat16.
#pragma once

#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

inline F32 load_terms(const float* p) { return load_f32(p); }
inline F32 set_term(float value) { return set_f32(value); }
inline F32 add_product(F32 a, F32 b, F32 sum) { return madd(a, b, sum); }

inline Pairs load_terms(const bfloat16_pair* p) { return load_pairs(p); }
inline Pairs set_term(bfloat16_pair pair) { return set_pairs(pair); }
inline F32 add_product(Pairs a, Pairs b, F32 sum) { return dot_pairs(a, b, sum); }

}  // namespace
}  // namespace DSB_VARIANT
}  // namespace dsb
