// AVX-512 F, BW, DQ and VL: eight 64-bit lanes, sixteen float lanes.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr uint64_t kLanes = 8;
constexpr size_t kFloatLanes = 16;

struct U64 {
  __m512i v;
};
struct F64 {
  __m512d v;
};
struct F32 {
  __m512 v;
};

// a * b + c, rounded once.
inline float madd(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

inline U64 set_u64(uint64_t v) { return {_mm512_set1_epi64(static_cast<long long>(v))}; }
inline U64 iota_u64() { return {_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7)}; }
inline U64 add(U64 a, U64 b) { return {_mm512_add_epi64(a.v, b.v)}; }
inline U64 sub(U64 a, U64 b) { return {_mm512_sub_epi64(a.v, b.v)}; }
inline U64 bit_and(U64 a, U64 b) { return {_mm512_and_si512(a.v, b.v)}; }
inline U64 bit_andnot(U64 a, U64 b) { return {_mm512_andnot_si512(a.v, b.v)}; }
inline U64 bit_or(U64 a, U64 b) { return {_mm512_or_si512(a.v, b.v)}; }
inline U64 bit_xor(U64 a, U64 b) { return {_mm512_xor_si512(a.v, b.v)}; }
inline U64 bit_xor(U64 a, U64 b, U64 c) { return {_mm512_ternarylogic_epi64(a.v, b.v, c.v, 0x96)}; }
// High halves moved down; the high halves of the result are not defined.
inline U64 high_halves(U64 a) { return {_mm512_shuffle_epi32(a.v, static_cast<_MM_PERM_ENUM>(0xF5))}; }
// Low halves of a in the low halves, low halves of b in the high ones.
inline U64 low_halves(U64 a, U64 b) { return {_mm512_mask_blend_epi32(0xAAAA, a.v, _mm512_slli_epi64(b.v, 32))}; }
inline U64 mul_low32(U64 a, U64 b) { return {_mm512_mul_epu32(a.v, b.v)}; }
template <int n>
inline U64 shift_left(U64 a) {
  return {_mm512_slli_epi64(a.v, n)};
}
template <int n>
inline U64 shift_right(U64 a) {
  return {_mm512_srli_epi64(a.v, n)};
}
// (a0 b0 a1 b1 ...) as two vectors.
inline void interleave(U64 a, U64 b, U64* first, U64* second) {
  first->v = _mm512_permutex2var_epi64(a.v, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), b.v);
  second->v = _mm512_permutex2var_epi64(a.v, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), b.v);
}

inline F64 set_f64(double v) { return {_mm512_set1_pd(v)}; }
inline F64 add(F64 a, F64 b) { return {_mm512_add_pd(a.v, b.v)}; }
inline F64 sub(F64 a, F64 b) { return {_mm512_sub_pd(a.v, b.v)}; }
inline F64 mul(F64 a, F64 b) { return {_mm512_mul_pd(a.v, b.v)}; }
inline F64 div(F64 a, F64 b) { return {_mm512_div_pd(a.v, b.v)}; }
inline F64 square_root(F64 a) { return {_mm512_sqrt_pd(a.v)}; }
inline U64 greater(F64 a, F64 b) { return {_mm512_movm_epi64(_mm512_cmp_pd_mask(a.v, b.v, _CMP_GT_OQ))}; }
inline U64 as_u64(F64 a) { return {_mm512_castpd_si512(a.v)}; }
inline F64 as_f64(U64 a) { return {_mm512_castsi512_pd(a.v)}; }
inline F64 to_f64(U64 a) { return {_mm512_cvtepu64_pd(a.v)}; }
// float32 bits in the low halves.
inline U64 float32_bits(F64 a) { return {_mm512_cvtepu32_epi64(_mm256_castps_si256(_mm512_cvtpd_ps(a.v)))}; }

inline void store_bits(U64 a, float* out) { _mm512_storeu_si512(out, a.v); }
// out = low + step * (word >> 8), product and sum rounded one after the other.
inline void store_uniform(U64 words, float low, float step, float* out) {
  const __m512 n = _mm512_cvtepi32_ps(_mm512_srli_epi32(words.v, 8));
  _mm512_storeu_ps(out, _mm512_add_ps(_mm512_set1_ps(low), _mm512_mul_ps(_mm512_set1_ps(step), n)));
}

inline F32 set_f32(float v) { return {_mm512_set1_ps(v)}; }
inline F32 load_f32(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store_f32(F32 a, float* p) { _mm512_storeu_ps(p, a.v); }
inline F32 madd(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F32 mul(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F32 add(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F32 sub(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F32 div(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F32 square_root(F32 a) { return {_mm512_sqrt_ps(a.v)}; }
// a where it is larger, else b.
inline F32 larger(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
// The float whose exponent is the last eight bits of a.
inline F32 exponent_from_last_bits(F32 a) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a.v), 23))};
}
// The first `count` lanes, fewer than all; the rest of the memory is not touched, the rest of the lanes is 0.
inline F32 load_first(const float* p, int64_t count) {
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), p)};
}
inline void store_first(F32 a, int64_t count, float* p) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1u), a.v);
}
struct Lanes {
  __mmask16 v;
};
// Lanes from `first` to `end`, of any value.
inline Lanes lanes_between(int64_t first, int64_t end) {
  const int64_t low = first < 0 ? 0 : first > 16 ? 16 : first, high = end < 0 ? 0 : end > 16 ? 16 : end;
  return {static_cast<__mmask16>(((1u << high) - 1u) & ~((1u << low) - 1u))};
}
// The rest of the memory is not touched, the rest of the lanes is 0.
inline F32 load_lanes(const float* p, Lanes lanes) { return {_mm512_maskz_loadu_ps(lanes.v, p)}; }
// (a0 b0 a1 b1 ...) as two vectors, and back.
inline void interleave(F32 a, F32 b, F32* first, F32* second) {
  const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  first->v = _mm512_permutex2var_ps(a.v, low, b.v);
  second->v = _mm512_permutex2var_ps(a.v, high, b.v);
}
inline void deinterleave(F32 a, F32 b, F32* even, F32* odd) {
  const __m512i e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i o = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  even->v = _mm512_permutex2var_ps(a.v, e, b.v);
  odd->v = _mm512_permutex2var_ps(a.v, o, b.v);
}
// A whole vector, aligned, around the caches; a fence before anybody reads.
inline void stream_f32(F32 a, float* p) { _mm512_stream_ps(p, a.v); }
inline void stream_fence() { _mm_sfence(); }
// A square of sixteen rows, in place.
inline void transpose_f32(F32* square) {
  __m512 a[16], b[16];
#pragma GCC unroll 8
  for (int k = 0; k < 16; k += 2) {
    a[k] = _mm512_unpacklo_ps(square[k].v, square[k + 1].v);
    a[k + 1] = _mm512_unpackhi_ps(square[k].v, square[k + 1].v);
  }
#pragma GCC unroll 4
  for (int k = 0; k < 16; k += 4) {  // b[k + j]: column j of every four, of rows k to k + 3
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      const __m512d first = _mm512_castps_pd(a[k + j]), second = _mm512_castps_pd(a[k + 2 + j]);
      b[k + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(first, second));
      b[k + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(first, second));
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512 low0 = _mm512_shuffle_f32x4(b[j], b[j + 4], 0x88), low1 = _mm512_shuffle_f32x4(b[j], b[j + 4], 0xDD);
    const __m512 high0 = _mm512_shuffle_f32x4(b[j + 8], b[j + 12], 0x88);
    const __m512 high1 = _mm512_shuffle_f32x4(b[j + 8], b[j + 12], 0xDD);
    square[j].v = _mm512_shuffle_f32x4(low0, high0, 0x88);
    square[j + 4].v = _mm512_shuffle_f32x4(low1, high1, 0x88);
    square[j + 8].v = _mm512_shuffle_f32x4(low0, high0, 0xDD);
    square[j + 12].v = _mm512_shuffle_f32x4(low1, high1, 0xDD);
  }
}
constexpr int kMatmulRows = 6, kMatmulVectors = 4;  // of outputs that fit the registers
constexpr int kTileGroup = 12;                      // beside two vectors of output channels
// a where `where` is not below 0, else b.
inline F32 choose_by_sign(F32 where, F32 a, F32 b) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(where.v, _mm512_setzero_ps(), _CMP_LT_OQ), a.v, b.v)};
}
// A pair of bfloat16 a lane, the first in the low half.
struct Pairs {
  __m512i v;
};
inline Pairs set_pairs(uint32_t pair) { return {_mm512_set1_epi32(static_cast<int>(pair))}; }
inline Pairs load_pairs(const uint32_t* p) { return {_mm512_loadu_si512(p)}; }
inline void store_pairs(Pairs a, uint32_t* p) { _mm512_storeu_si512(p, a.v); }
#ifndef __AVX512BF16__  // simd/avx512_bf16.h has instructions for these
// Rounded to nearest, ties to even, in the low halves; not a number becomes the quiet one of its sign.
inline __m512i rounded_bf16(F32 a) {
  const __m512i bits = _mm512_castps_si512(a.v), upper = _mm512_srli_epi32(bits, 16), one = _mm512_set1_epi32(1);
  const __m512i up = _mm512_add_epi32(_mm512_and_si512(upper, one), _mm512_set1_epi32(0x7FFF));
  const __m512i quiet = _mm512_or_si512(_mm512_and_si512(upper, _mm512_set1_epi32(0x8000)), _mm512_set1_epi32(0x7FC0));
  const __m512i nearest = _mm512_srli_epi32(_mm512_add_epi32(bits, up), 16);
  return _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q), nearest, quiet);
}
inline void store_bf16(F32 a, uint16_t* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(rounded_bf16(a)));
}
inline Pairs round_pairs(F32 first, F32 second) {
  return {_mm512_or_si512(rounded_bf16(first), _mm512_slli_epi32(rounded_bf16(second), 16))};
}
// sum + a.second * b.second, then + a.first * b.first: the order of AVX-512 BF16's instruction.
inline F32 dot_pairs(Pairs a, Pairs b, F32 sum) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xFFFF0000u));
  const __m512 second = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(a.v, upper)),
                                        _mm512_castsi512_ps(_mm512_and_si512(b.v, upper)), sum.v);
  return {_mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(a.v, 16)),
                          _mm512_castsi512_ps(_mm512_slli_epi32(b.v, 16)), second)};
}
#endif
constexpr int kPositionTile = 5;  // bfloat16: positions whose accumulators fit the registers beside four channels
constexpr int kRegisters = 32, kTilesInRegisters = 4;
inline bool store_microvolt(F32 signal, float scale, int16_t* out) {
  __m512 y = _mm512_mul_ps(signal.v, _mm512_set1_ps(scale));
  const bool numbers = _mm512_cmp_ps_mask(y, y, _CMP_UNORD_Q) == 0;
  y = _mm512_min_ps(_mm512_max_ps(y, _mm512_set1_ps(-32768.0f)), _mm512_set1_ps(32767.0f));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtsepi32_epi16(_mm512_cvttps_epi32(y)));
  return numbers;
}
// A square of sixteen rows, in place: four times the perfect shuffle of its two halves.
inline void transpose_i16(int16_t* square) {
  __m256i* rows = reinterpret_cast<__m256i*>(square);
  const __m256i low = _mm256_setr_epi16(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m256i high = _mm256_setr_epi16(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  __m256i a[16], b[16];
#pragma GCC unroll 16
  for (int k = 0; k < 16; ++k) a[k] = _mm256_loadu_si256(rows + k);
#pragma GCC unroll 4
  for (int round = 0; round < 4; ++round) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) {
      b[2 * k] = _mm256_permutex2var_epi16(a[k], low, a[k + 8]);
      b[2 * k + 1] = _mm256_permutex2var_epi16(a[k], high, a[k + 8]);
    }
#pragma GCC unroll 16
    for (int k = 0; k < 16; ++k) a[k] = b[k];
  }
#pragma GCC unroll 16
  for (int k = 0; k < 16; ++k) _mm256_storeu_si256(rows + k, a[k]);
}

}  // namespace
}  // namespace DSB_VARIANT
}  // namespace dsb
