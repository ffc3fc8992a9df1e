// AVX2 and FMA: four 64-bit lanes, eight float lanes.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr uint64_t kLanes = 4;
constexpr size_t kFloatLanes = 8;

struct U64 {
  __m256i v;
};
struct F64 {
  __m256d v;
};
struct F32 {
  __m256 v;
};

// a * b + c, rounded once.
inline float madd(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

inline U64 set_u64(uint64_t v) { return {_mm256_set1_epi64x(static_cast<long long>(v))}; }
inline U64 iota_u64() { return {_mm256_setr_epi64x(0, 1, 2, 3)}; }
inline U64 add(U64 a, U64 b) { return {_mm256_add_epi64(a.v, b.v)}; }
inline U64 sub(U64 a, U64 b) { return {_mm256_sub_epi64(a.v, b.v)}; }
inline U64 bit_and(U64 a, U64 b) { return {_mm256_and_si256(a.v, b.v)}; }
inline U64 bit_andnot(U64 a, U64 b) { return {_mm256_andnot_si256(a.v, b.v)}; }
inline U64 bit_or(U64 a, U64 b) { return {_mm256_or_si256(a.v, b.v)}; }
inline U64 bit_xor(U64 a, U64 b) { return {_mm256_xor_si256(a.v, b.v)}; }
inline U64 bit_xor(U64 a, U64 b, U64 c) { return {_mm256_xor_si256(_mm256_xor_si256(a.v, b.v), c.v)}; }
// High halves moved down; the high halves of the result are not defined.
inline U64 high_halves(U64 a) { return {_mm256_shuffle_epi32(a.v, 0xF5)}; }
// Low halves of a in the low halves, low halves of b in the high ones.
inline U64 low_halves(U64 a, U64 b) { return {_mm256_blend_epi32(a.v, _mm256_slli_epi64(b.v, 32), 0xAA)}; }
inline U64 mul_low32(U64 a, U64 b) { return {_mm256_mul_epu32(a.v, b.v)}; }
template <int n>
inline U64 shift_left(U64 a) {
  return {_mm256_slli_epi64(a.v, n)};
}
template <int n>
inline U64 shift_right(U64 a) {
  return {_mm256_srli_epi64(a.v, n)};
}
// (a0 b0 a1 b1 ...) as two vectors.
inline void interleave(U64 a, U64 b, U64* first, U64* second) {
  const __m256i low = _mm256_unpacklo_epi64(a.v, b.v), high = _mm256_unpackhi_epi64(a.v, b.v);
  first->v = _mm256_permute2x128_si256(low, high, 0x20);
  second->v = _mm256_permute2x128_si256(low, high, 0x31);
}

inline F64 set_f64(double v) { return {_mm256_set1_pd(v)}; }
inline F64 add(F64 a, F64 b) { return {_mm256_add_pd(a.v, b.v)}; }
inline F64 sub(F64 a, F64 b) { return {_mm256_sub_pd(a.v, b.v)}; }
inline F64 mul(F64 a, F64 b) { return {_mm256_mul_pd(a.v, b.v)}; }
inline F64 div(F64 a, F64 b) { return {_mm256_div_pd(a.v, b.v)}; }
inline F64 square_root(F64 a) { return {_mm256_sqrt_pd(a.v)}; }
inline U64 greater(F64 a, F64 b) { return {_mm256_castpd_si256(_mm256_cmp_pd(a.v, b.v, _CMP_GT_OQ))}; }
inline U64 as_u64(F64 a) { return {_mm256_castpd_si256(a.v)}; }
inline F64 as_f64(U64 a) { return {_mm256_castsi256_pd(a.v)}; }
// Lanes below 2^52: put under the exponent of 2^52, which is then taken off.
inline F64 to_f64(U64 a) {
  const __m256i magic = _mm256_set1_epi64x(0x4330000000000000ll);
  return {_mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(a.v, magic)), _mm256_castsi256_pd(magic))};
}
// float32 bits in the low halves.
inline U64 float32_bits(F64 a) { return {_mm256_cvtepu32_epi64(_mm_castps_si128(_mm256_cvtpd_ps(a.v)))}; }

inline void store_bits(U64 a, float* out) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), a.v); }
// out = low + step * (word >> 8), product and sum rounded one after the other.
inline void store_uniform(U64 words, float low, float step, float* out) {
  const __m256 n = _mm256_cvtepi32_ps(_mm256_srli_epi32(words.v, 8));
  _mm256_storeu_ps(out, _mm256_add_ps(_mm256_set1_ps(low), _mm256_mul_ps(_mm256_set1_ps(step), n)));
}

inline F32 set_f32(float v) { return {_mm256_set1_ps(v)}; }
inline F32 load_f32(const float* p) { return {_mm256_loadu_ps(p)}; }
inline void store_f32(F32 a, float* p) { _mm256_storeu_ps(p, a.v); }
inline F32 madd(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline F32 mul(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline F32 add(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
inline F32 sub(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline F32 div(F32 a, F32 b) { return {_mm256_div_ps(a.v, b.v)}; }
inline F32 square_root(F32 a) { return {_mm256_sqrt_ps(a.v)}; }
// a where it is larger, else b.
inline F32 larger(F32 a, F32 b) { return {_mm256_max_ps(a.v, b.v)}; }
// The float whose exponent is the last eight bits of a.
inline F32 exponent_from_last_bits(F32 a) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.v), 23))};
}
inline __m256i first_lanes(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
// The first `count` lanes, fewer than all; the rest of the memory is not touched, the rest of the lanes is 0.
inline F32 load_first(const float* p, int64_t count) { return {_mm256_maskload_ps(p, first_lanes(count))}; }
inline void store_first(F32 a, int64_t count, float* p) { _mm256_maskstore_ps(p, first_lanes(count), a.v); }
struct Lanes {
  __m256i v;
};
// Lanes from `first` to `end`, of any value.
inline Lanes lanes_between(int64_t first, int64_t end) {
  const int low = static_cast<int>(first < 0 ? 0 : first > 8 ? 8 : first), high = end < 0 ? 0 : end > 8 ? 8 : end;
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(high), lane);
  return {_mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(low), lane), below)};
}
// The rest of the memory is not touched, the rest of the lanes is 0.
inline F32 load_lanes(const float* p, Lanes lanes) { return {_mm256_maskload_ps(p, lanes.v)}; }
// (a0 b0 a1 b1 ...) as two vectors, and back.
inline void interleave(F32 a, F32 b, F32* first, F32* second) {
  const __m256 low = _mm256_unpacklo_ps(a.v, b.v), high = _mm256_unpackhi_ps(a.v, b.v);
  first->v = _mm256_permute2f128_ps(low, high, 0x20);
  second->v = _mm256_permute2f128_ps(low, high, 0x31);
}
inline void deinterleave(F32 a, F32 b, F32* even, F32* odd) {
  const __m256d e = _mm256_castps_pd(_mm256_shuffle_ps(a.v, b.v, 0x88));
  const __m256d o = _mm256_castps_pd(_mm256_shuffle_ps(a.v, b.v, 0xDD));
  even->v = _mm256_castpd_ps(_mm256_permute4x64_pd(e, 0xD8));
  odd->v = _mm256_castpd_ps(_mm256_permute4x64_pd(o, 0xD8));
}
// A whole vector, aligned, around the caches; a fence before anybody reads.
inline void stream_f32(F32 a, float* p) { _mm256_stream_ps(p, a.v); }
inline void stream_fence() { _mm_sfence(); }
// A square of eight rows, in place.
inline void transpose_f32(F32* square) {
  __m256 a[8], b[8];
#pragma GCC unroll 4
  for (int k = 0; k < 8; k += 2) {
    a[k] = _mm256_unpacklo_ps(square[k].v, square[k + 1].v);
    a[k + 1] = _mm256_unpackhi_ps(square[k].v, square[k + 1].v);
  }
#pragma GCC unroll 2
  for (int k = 0; k < 8; k += 4) {  // b[k + j]: column j of every four, of rows k to k + 3
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      b[k + 2 * j] = _mm256_shuffle_ps(a[k + j], a[k + 2 + j], 0x44);
      b[k + 2 * j + 1] = _mm256_shuffle_ps(a[k + j], a[k + 2 + j], 0xEE);
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    square[j].v = _mm256_permute2f128_ps(b[j], b[j + 4], 0x20);
    square[j + 4].v = _mm256_permute2f128_ps(b[j], b[j + 4], 0x31);
  }
}
constexpr int kMatmulRows = 6, kMatmulVectors = 2;  // of outputs that fit the registers
constexpr int kTileGroup = 6;                       // beside two vectors of output channels
// a where `where` is not below 0, else b.
inline F32 choose_by_sign(F32 where, F32 a, F32 b) {
  return {_mm256_blendv_ps(a.v, b.v, _mm256_cmp_ps(where.v, _mm256_setzero_ps(), _CMP_LT_OQ))};
}
// A pair of bfloat16 a lane, the first in the low half.
struct Pairs {
  __m256i v;
};
inline Pairs set_pairs(uint32_t pair) { return {_mm256_set1_epi32(static_cast<int>(pair))}; }
inline Pairs load_pairs(const uint32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
inline void store_pairs(Pairs a, uint32_t* p) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v); }
// sum + a.second * b.second, then + a.first * b.first: the order of AVX-512 BF16's instruction.
inline F32 dot_pairs(Pairs a, Pairs b, F32 sum) {
  const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xFFFF0000u));
  const __m256 second = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(a.v, upper)),
                                        _mm256_castsi256_ps(_mm256_and_si256(b.v, upper)), sum.v);
  return {_mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(a.v, 16)),
                          _mm256_castsi256_ps(_mm256_slli_epi32(b.v, 16)), second)};
}
// Rounded to nearest, ties to even, in the low halves; not a number becomes the quiet one of its sign.
inline __m256i rounded_bf16(F32 a) {
  const __m256i bits = _mm256_castps_si256(a.v), upper = _mm256_srli_epi32(bits, 16), one = _mm256_set1_epi32(1);
  const __m256i up = _mm256_add_epi32(_mm256_and_si256(upper, one), _mm256_set1_epi32(0x7FFF));
  const __m256i quiet = _mm256_or_si256(_mm256_and_si256(upper, _mm256_set1_epi32(0x8000)), _mm256_set1_epi32(0x7FC0));
  const __m256i nearest = _mm256_srli_epi32(_mm256_add_epi32(bits, up), 16);
  return _mm256_blendv_epi8(nearest, quiet, _mm256_castps_si256(_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q)));
}
inline void store_bf16(F32 a, uint16_t* p) {
  const __m256i made = rounded_bf16(a);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packus_epi32(_mm256_castsi256_si128(made), _mm256_extracti128_si256(made, 1)));
}
inline Pairs round_pairs(F32 first, F32 second) {
  return {_mm256_or_si256(rounded_bf16(first), _mm256_slli_epi32(rounded_bf16(second), 16))};
}
constexpr int kPositionTile = 2;  // bfloat16: positions whose accumulators fit the registers beside four channels
constexpr int kRegisters = 16, kTilesInRegisters = 2;
inline bool store_microvolt(F32 signal, float scale, int16_t* out) {
  __m256 y = _mm256_mul_ps(signal.v, _mm256_set1_ps(scale));
  const bool numbers = _mm256_movemask_ps(_mm256_cmp_ps(y, y, _CMP_UNORD_Q)) == 0;
  y = _mm256_min_ps(_mm256_max_ps(y, _mm256_set1_ps(-32768.0f)), _mm256_set1_ps(32767.0f));
  const __m256i i = _mm256_cvttps_epi32(y);
  const __m128i packed = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), packed);
  return numbers;
}
// A square of eight rows, in place: three times the perfect shuffle of its two halves.
inline void transpose_i16(int16_t* square) {
  __m128i* rows = reinterpret_cast<__m128i*>(square);
  __m128i a[8], b[8];
#pragma GCC unroll 8
  for (int k = 0; k < 8; ++k) a[k] = _mm_loadu_si128(rows + k);
#pragma GCC unroll 3
  for (int round = 0; round < 3; ++round) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      b[2 * k] = _mm_unpacklo_epi16(a[k], a[k + 4]);
      b[2 * k + 1] = _mm_unpackhi_epi16(a[k], a[k + 4]);
    }
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) a[k] = b[k];
  }
#pragma GCC unroll 8
  for (int k = 0; k < 8; ++k) _mm_storeu_si128(rows + k, a[k]);
}

}  // namespace
}  // namespace DSB_VARIANT
}  // namespace dsb
