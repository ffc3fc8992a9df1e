// One-lane "vectors" in portable C++: the reference for every other variant, and what runs where none of them can.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr uint64_t kLanes = 1;
constexpr size_t kFloatLanes = 1;

struct U64 {
  uint64_t v;
};
struct F64 {
  double v;
};
struct F32 {
  float v;
};

// a * b + c, rounded twice: this variant has an arithmetic of its own.
inline float madd(float a, float b, float c) { return a * b + c; }

inline U64 set_u64(uint64_t v) { return {v}; }
inline U64 iota_u64() { return {0}; }
inline U64 add(U64 a, U64 b) { return {a.v + b.v}; }
inline U64 sub(U64 a, U64 b) { return {a.v - b.v}; }
inline U64 bit_and(U64 a, U64 b) { return {a.v & b.v}; }
inline U64 bit_andnot(U64 a, U64 b) { return {~a.v & b.v}; }
inline U64 bit_or(U64 a, U64 b) { return {a.v | b.v}; }
inline U64 bit_xor(U64 a, U64 b) { return {a.v ^ b.v}; }
inline U64 bit_xor(U64 a, U64 b, U64 c) { return {a.v ^ b.v ^ c.v}; }
// High halves moved down; the high halves of the result are not defined.
inline U64 high_halves(U64 a) { return {a.v >> 32}; }
// Low halves of a in the low halves, low halves of b in the high ones.
inline U64 low_halves(U64 a, U64 b) { return {(a.v & 0xFFFFFFFFu) | b.v << 32}; }
inline U64 mul_low32(U64 a, U64 b) { return {(a.v & 0xFFFFFFFFull) * (b.v & 0xFFFFFFFFull)}; }
template <int n>
inline U64 shift_left(U64 a) {
  return {a.v << n};
}
template <int n>
inline U64 shift_right(U64 a) {
  return {a.v >> n};
}
// (a0 b0 a1 b1 ...) as two vectors.
inline void interleave(U64 a, U64 b, U64* first, U64* second) {
  *first = a;
  *second = b;
}

inline F64 set_f64(double v) { return {v}; }
inline F64 add(F64 a, F64 b) { return {a.v + b.v}; }
inline F64 sub(F64 a, F64 b) { return {a.v - b.v}; }
inline F64 mul(F64 a, F64 b) { return {a.v * b.v}; }
inline F64 div(F64 a, F64 b) { return {a.v / b.v}; }
inline F64 square_root(F64 a) { return {__builtin_sqrt(a.v)}; }
inline U64 greater(F64 a, F64 b) { return {a.v > b.v ? ~0ull : 0ull}; }
inline U64 as_u64(F64 a) {
  U64 r;
  __builtin_memcpy(&r, &a, sizeof r);
  return r;
}
inline F64 as_f64(U64 a) {
  F64 r;
  __builtin_memcpy(&r, &a, sizeof r);
  return r;
}
// Lanes below 2^32.
inline F64 to_f64(U64 a) { return {static_cast<double>(static_cast<int64_t>(a.v))}; }
// float32 bits in the low halves.
inline U64 float32_bits(F64 a) {
  const float f = static_cast<float>(a.v);
  uint32_t bits;
  __builtin_memcpy(&bits, &f, sizeof bits);
  return {bits};
}

inline void store_bits(U64 a, float* out) { __builtin_memcpy(out, &a.v, sizeof a.v); }
// out = low + step * (word >> 8), product and sum rounded one after the other.
inline void store_uniform(U64 words, float low, float step, float* out) {
  const uint32_t half[2] = {static_cast<uint32_t>(words.v), static_cast<uint32_t>(words.v >> 32)};
  for (int k = 0; k < 2; ++k) {
    const float n = static_cast<float>(half[k] >> 8);
    out[k] = low + step * n;
  }
}

inline F32 set_f32(float v) { return {v}; }
inline F32 load_f32(const float* p) { return {*p}; }
inline void store_f32(F32 a, float* p) { *p = a.v; }
inline F32 madd(F32 a, F32 b, F32 c) { return {a.v * b.v + c.v}; }
inline F32 mul(F32 a, F32 b) { return {a.v * b.v}; }
inline F32 add(F32 a, F32 b) { return {a.v + b.v}; }
inline F32 sub(F32 a, F32 b) { return {a.v - b.v}; }
inline F32 div(F32 a, F32 b) { return {a.v / b.v}; }
inline F32 square_root(F32 a) { return {__builtin_sqrtf(a.v)}; }
// a where it is larger, else b.
inline F32 larger(F32 a, F32 b) { return {a.v > b.v ? a.v : b.v}; }
// The float whose exponent is the last eight bits of a.
inline F32 exponent_from_last_bits(F32 a) {
  uint32_t bits;
  __builtin_memcpy(&bits, &a.v, sizeof bits);
  bits <<= 23;
  F32 power;
  __builtin_memcpy(&power.v, &bits, sizeof bits);
  return power;
}
// Fewer than all lanes: none here.
inline F32 load_first(const float*, int64_t) { return {0.0f}; }
inline void store_first(F32, int64_t, float*) {}
struct Lanes {
  bool v;
};
// Lanes from `first` to `end`, of any value.
inline Lanes lanes_between(int64_t first, int64_t end) { return {first <= 0 && end > 0}; }
// The rest of the memory is not touched, the rest of the lanes is 0.
inline F32 load_lanes(const float* p, Lanes lanes) { return {lanes.v ? *p : 0.0f}; }
// (a0 b0 a1 b1 ...) as two vectors, and back.
inline void interleave(F32 a, F32 b, F32* first, F32* second) {
  *first = a;
  *second = b;
}
inline void deinterleave(F32 a, F32 b, F32* even, F32* odd) {
  *even = a;
  *odd = b;
}
// A whole vector, aligned, around the caches; a fence before anybody reads.
inline void stream_f32(F32 a, float* p) { *p = a.v; }
inline void stream_fence() {}
inline void transpose_f32(F32*) {}                  // of one row
constexpr int kMatmulRows = 4, kMatmulVectors = 2;  // of outputs that fit the registers
constexpr int kTileGroup = 4;                       // beside two vectors of output channels
// a where `where` is not below 0, else b.
inline F32 choose_by_sign(F32 where, F32 a, F32 b) { return where.v < 0.0f ? b : a; }
// A pair of bfloat16 a lane, the first in the low half. A product of two is exact in float32: only sums round.
struct Pairs {
  uint32_t v;
};
inline Pairs set_pairs(uint32_t pair) { return {pair}; }
inline Pairs load_pairs(const uint32_t* p) { return {*p}; }
inline void store_pairs(Pairs a, uint32_t* p) { *p = a.v; }
inline float float_of_bits(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
// sum + a.second * b.second, then + a.first * b.first: the order of AVX-512 BF16's instruction.
inline F32 dot_pairs(Pairs a, Pairs b, F32 sum) {
  const uint32_t upper = 0xFFFF0000u;
  const float second = madd(float_of_bits(a.v & upper), float_of_bits(b.v & upper), sum.v);
  return {madd(float_of_bits(a.v << 16), float_of_bits(b.v << 16), second)};
}
// Rounded to nearest, ties to even; not a number becomes the quiet one of its sign.
inline void store_bf16(F32 a, uint16_t* p) {
  uint32_t bits;
  __builtin_memcpy(&bits, &a.v, sizeof bits);
  const uint32_t nearest = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16, quiet = (bits >> 16 & 0x8000u) | 0x7FC0u;
  *p = static_cast<uint16_t>(a.v == a.v ? nearest : quiet);
}
// Of rounded numbers, as store_bf16 rounds them.
inline Pairs round_pairs(F32 first, F32 second) {
  uint16_t low, high;
  store_bf16(first, &low);
  store_bf16(second, &high);
  return {low | static_cast<uint32_t>(high) << 16};
}
constexpr int kPositionTile = 2;  // bfloat16: positions whose accumulators fit the registers beside four channels
constexpr int kRegisters = 16, kTilesInRegisters = 2;
inline bool store_microvolt(F32 signal, float scale, int16_t* out) {
  float y = signal.v * scale;
  const bool number = y == y;
  y = y < -32768.0f ? -32768.0f : y;
  y = y < 32767.0f ? y : 32767.0f;
  *out = static_cast<int16_t>(y);
  return number;
}
inline void transpose_i16(int16_t*) {}  // of one row

}  // namespace
}  // namespace DSB_VARIANT
}  // namespace dsb
