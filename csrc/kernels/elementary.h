// exp, expm1, log1p, tanh and gelu in float32 from sums and products only, so that every variant with fused
// multiply-add gives the same bits. Largest error seen against float64: 3 units in the last place; the tests allow
// 6e-7.
#pragma once

#include <cstdint>

#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

// e^x = (1 + tail) * 2^(half + rest)
struct Exponential {
  float tail;
  int32_t half, rest;
};

inline float power_of_two(int32_t n) {
  const int32_t bits = (n + 127) << 23;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// x from -110 to 89.5; n is the nearest whole number to x / ln 2, found by the rounding of a large sum.
inline Exponential exponential(float x) {
  const float magic = 12582912.0f;
  const float n = madd(x, 1.44269504f, magic) - magic;
  const float r = madd(n, -0x1.7f7d1cp-20f, madd(n, -0x1.62e400p-1f, x));
  float p = 1.0f / 5040.0f;
  p = madd(p, r, 1.0f / 720.0f);
  p = madd(p, r, 1.0f / 120.0f);
  p = madd(p, r, 1.0f / 24.0f);
  p = madd(p, r, 1.0f / 6.0f);
  p = madd(p, r, 0.5f);
  const int32_t whole = static_cast<int32_t>(n), half = whole >> 1;
  return {madd(r * r, p, r), half, whole - half};
}

// Below the limits 0, above them infinity, by way of the last products. Not a number stays one: a comparison with it is
// false.
inline float exp_f32(float x) {
  x = x < -110.0f ? -110.0f : x;
  x = x > 89.5f ? 89.5f : x;
  if (x != x) return x;
  const Exponential e = exponential(x);
  return (1.0f + e.tail) * power_of_two(e.half) * power_of_two(e.rest);
}

// 2^y for y <= 0; 2^-120 stands for all that is less, not a number stays one. Relative error 1.7e-7. y is split by the
// rounding of a large sum, whose last eight bits are the exponent of a float: of 2 to the power of y's whole part.
inline float exp2_f32(float y) {
  const float magic = 12582912.0f + 127.0f, least = -120.0f > y ? -120.0f : y, large = least + magic;
  const float r = least - (large - magic);
  float p = 0x1.5bba14p-10f;
  p = madd(p, r, 0x1.3cea88p-7f);
  p = madd(p, r, 0x1.c6b752p-5f);
  p = madd(p, r, 0x1.ebf9bcp-3f);
  p = madd(p, r, 0x1.62e42ap-1f);
  p = madd(p, r, 1.0f);
  uint32_t bits;
  __builtin_memcpy(&bits, &large, sizeof bits);
  bits <<= 23;
  float power;
  __builtin_memcpy(&power, &bits, sizeof power);
  return p * power;
}

// For x <= 0.
inline float expm1_f32(float x) {
  x = x < -87.0f ? -87.0f : x;
  if (x != x) return x;
  const Exponential e = exponential(x);
  const float scaled = (1.0f + e.tail) * power_of_two(e.half) * power_of_two(e.rest) - 1.0f;
  return e.half == 0 && e.rest == 0 ? e.tail : scaled;
}

// For 0 <= y <= 1: 2 atanh(y / (2 + y)).
inline float log1p_f32(float y) {
  const float s = y / (2.0f + y), z = s * s;
  float p = 1.0f / 15.0f;
  p = madd(p, z, 1.0f / 13.0f);
  p = madd(p, z, 1.0f / 11.0f);
  p = madd(p, z, 1.0f / 9.0f);
  p = madd(p, z, 1.0f / 7.0f);
  p = madd(p, z, 1.0f / 5.0f);
  p = madd(p, z, 1.0f / 3.0f);
  return 2.0f * madd(s * z, p, s);
}

// x P(x^2) / Q(x^2), fitted for the smallest relative error on [-7.9, 7.9] (6e-9; 3e-7 with the rounding of float32).
// Beyond, the value at the end, 1 - 2^-23.
inline float tanh_f32(float x) {
  x = x < -7.9f ? -7.9f : x;
  x = x > 7.9f ? 7.9f : x;
  const float z = x * x;
  float p = 0x1.0913f6p-26f, q = 0x1.cdad96p-21f;
  p = madd(p, z, 0x1.7181f2p-16f);
  q = madd(q, z, 0x1.6701e6p-12f);
  p = madd(p, z, 0x1.d51d50p-9f);
  q = madd(q, z, 0x1.ad234ap-6f);
  p = madd(p, z, 0x1.13784ap-3f);
  q = madd(q, z, 0x1.df1176p-2f);
  return x * madd(p, z, 1.0f) / madd(q, z, 1.0f);
}

inline float sigmoid_f32(float x) {
  const float e = exp_f32(x < 0.0f ? x : -x);
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

inline float softplus_f32(float x) {
  const float magnitude = x < 0.0f ? -x : x;
  return (x > 0.0f ? x : 0.0f) + log1p_f32(exp_f32(-magnitude));
}

// x times the normal distribution's share below x. The share beyond a is e^(-a^2/2) times Mills' ratio, a polynomial in
// (a - 4) / (a + 4) over 1 + a (fitted for 0 <= a <= 14.5, error 3e-8); a^2 goes into two exponents, so that the tail
// keeps its relative accuracy.
inline float gelu_f32(float x) {
  const float magnitude = x < 0.0f ? -x : x;
  const float a = magnitude > 16.0f ? 16.0f : magnitude;
  const float u = (a - 4.0f) / (a + 4.0f);
  float p = 9.12175528e-05f;
  p = madd(p, u, 7.27237901e-04f);
  p = madd(p, u, -4.08540480e-04f);
  p = madd(p, u, -5.05245151e-03f);
  p = madd(p, u, 1.79648530e-02f);
  p = madd(p, u, -3.21848616e-02f);
  p = madd(p, u, 2.85976473e-02f);
  p = madd(p, u, 1.39986491e-02f);
  p = madd(p, u, -9.67033952e-02f);
  p = madd(p, u, 4.72053230e-01f);
  uint32_t bits;
  __builtin_memcpy(&bits, &a, sizeof bits);
  bits &= 0xFFFFF000u;  // 12 bits of the mantissa, whose square is exact
  float high;
  __builtin_memcpy(&high, &bits, sizeof high);
  const float density = exp_f32(-0.5f * high * high) * exp_f32(-0.5f * (a - high) * (a + high));
  const float beyond = density * (p / (1.0f + a));
  return x * (x < 0.0f ? beyond : 1.0f - beyond);
}

}  // namespace
}  // namespace DSB_VARIANT
}  // namespace dsb
