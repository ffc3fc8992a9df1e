// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011), one counter a
// thread, and the four numbers of its words: operation for operation csrc/kernels/philox.cc, whose bits these are.
#pragma once

#include "cuda/host_device.h"

#ifndef __CUDACC__
#include <math.h>
#endif

namespace dsb {
namespace cuda {

struct Words {
  uint32_t w[4];
};

DSB_HD uint32_t high_product(uint32_t a, uint32_t b) {
#ifdef __CUDA_ARCH__
  return __umulhi(a, b);
#else
  return static_cast<uint32_t>(static_cast<uint64_t>(a) * b >> 32);
#endif
}

DSB_HD Words philox(uint64_t seed, uint32_t block, uint32_t stream, uint64_t index) {
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  uint32_t c0 = block, c1 = stream, c2 = static_cast<uint32_t>(index), c3 = static_cast<uint32_t>(index >> 32);
  DSB_UNROLL
  for (int round = 0; round < 10; ++round) {
    const uint32_t high0 = high_product(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
    const uint32_t high1 = high_product(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

DSB_HD double quotient(double a, double b) {
#ifdef __CUDA_ARCH__
  return __ddiv_rn(a, b);
#else
  return a / b;
#endif
}

DSB_HD double root(double a) {
#ifdef __CUDA_ARCH__
  return __dsqrt_rn(a);
#else
  return sqrt(a);
#endif
}

// ln(n * 2^-32) for integers 1 <= n <= 2^32 held as doubles, by ln m = 2 atanh((m-1)/(m+1)) on [sqrt(1/2), sqrt(2)].
DSB_HD double log_of_fraction(double n) {
  const uint64_t bits = bits_as<uint64_t>(n);
  int exponent = static_cast<int>(bits >> 52);
  double m = bits_as<double>((bits & 0x000FFFFFFFFFFFFFull) | 0x3FF0000000000000ull);
  if (m > 1.4142135623730951) {
    m = product(m, 0.5);
    exponent += 1;
  }
  const double k = static_cast<double>(exponent - (1023 + 32));
  const double f = difference(m, 1.0);
  const double s = quotient(f, sum(2.0, f));
  const double z = product(s, s);
  double r = 2.0 / 23.0;
  DSB_UNROLL
  for (int odd = 21; odd >= 3; odd -= 2) r = sum(product(r, z), 2.0 / odd);
  r = product(r, z);
  const double ln_m = difference(f, product(s, difference(f, r)));
  const double small = sum(product(k, 0x1.a39ef35793c76p-33), ln_m);
  return sum(product(k, 0x1.62e42fee00000p-1), small);
}

// Both numbers of a Box-Muller pair.
DSB_HD void box_muller_exactly(uint32_t word_a, uint32_t word_b, float* first, float* second) {
  const double n = sum(static_cast<double>(word_a), 1.0);
  const double radius = root(product(-2.0, log_of_fraction(n)));

  // The angle is word_b * 2^-32 turns: the nearest quarter turn q, and a rest of at most an eighth.
  const uint32_t q = static_cast<uint32_t>((static_cast<uint64_t>(word_b) + (1ull << 29)) >> 30);
  const double rest = difference(static_cast<double>(word_b), product(static_cast<double>(q), 1073741824.0));
  const double angle = product(rest, 0x1.921fb54442d18p-30);  // 2 pi 2^-32
  const double z = product(angle, angle);
  double sine = 1.0, cosine = 1.0;
  DSB_UNROLL
  for (int k = 18; k >= 2; k -= 2) {  // Taylor series, nested: 1 - z/(n(n-1)) * (...)
    cosine = difference(1.0, product(product(z, 1.0 / (k * (k - 1))), cosine));
    sine = difference(1.0, product(product(z, 1.0 / (k * (k + 1))), sine));
  }
  sine = product(sine, angle);

  const double c = q & 1 ? sine : cosine, s = q & 1 ? cosine : sine;
  *first = static_cast<float>(product(radius, (q + 1) & 2 ? -c : c));
  *second = static_cast<float>(product(radius, q & 2 ? -s : s));
}

DSB_HD double fused(double a, double b, double c) {
#ifdef __CUDA_ARCH__
  return __fma_rn(a, b, c);
#else
  return fma(a, b, c);
#endif
}

// The upper 20 of the 52 bits after the point, less one.
DSB_HD double coarse(double a) { return bits_as<double>(bits_as<uint64_t>(a) & ~((1ull << 33) - 1)); }

// About 1 / a and 1 / sqrt(a). PTX takes 20 bits of a and gives 20 bits; the host build does with a bit less, so that
// the tests see the worst. Two thirds of the digits are still missing then: what follows triples them.
DSB_HD double about_reciprocal(double a) {
#ifdef __CUDA_ARCH__
  double r;
  asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(r) : "d"(a));
  return r;
#else
  return coarse(1.0 / coarse(a));
#endif
}

DSB_HD double about_reciprocal_root(double a) {
#ifdef __CUDA_ARCH__
  double r;
  asm("rsqrt.approx.ftz.f64 %0, %1;" : "=d"(r) : "d"(a));
  return r;
#else
  return coarse(1.0 / sqrt(coarse(a)));
#endif
}

// sqrt(-2 ln(n * 2^-32)) for integers 1 <= n < 2^32 held as doubles; relative error 2^-49.
DSB_HD double radius_of_fraction(double n) {
  const uint64_t bits = bits_as<uint64_t>(n);
  // Subtracting sqrt(1/2)'s bits first puts the border of the exponents there: m is in [sqrt(1/2), sqrt(2)).
  const int32_t high = static_cast<int32_t>(bits >> 32) - 0x3FE6A09F, k = high >> 20;
  const double m = bits_as<double>(bits - (static_cast<uint64_t>(static_cast<int64_t>(k)) << 52));
  const double f = m - 1.0, d = m + 1.0, about = about_reciprocal(d), e = fused(-d, about, 1.0);
  const double s = f * fused(about, fused(e, e, e), about), z = s * s;
  double q = 2.0 / 17.0;  // ln m = 2 atanh(s)
  DSB_UNROLL
  for (int odd = 15; odd >= 1; odd -= 2) q = fused(q, z, 2.0 / odd);
  const double a = -2.0 * fused(static_cast<double>(k - 32), 0x1.62e42fefa39efp-1, s * q);
  const double y = about_reciprocal_root(a), t = a * y, rest = fused(-t, y, 1.0);
  return fused(t, fused(rest, 0.375, 0.5) * rest, t);
}

// Whether an error of 2^-44 could make a float32 of it another one.
DSB_HD bool is_near_middle(double v) {
  const uint32_t below = static_cast<uint32_t>(bits_as<uint64_t>(v)) & 0x1FFFFFFFu;  // what float32 has no bits for
  return below - (0x10000000u - 512u) < 1024u;
}

DSB_HD void box_muller(uint32_t word_a, uint32_t word_b, float* first, float* second) {
  const double radius = radius_of_fraction(static_cast<double>(word_a) + 1.0);
  const uint32_t q = ((word_b >> 29) + 1u) >> 1;  // 0 to 4 quarter turns
  const double angle = static_cast<double>(static_cast<int32_t>(word_b - (q << 30))) * 0x1.921fb54442d18p-30;
  const double z = -angle * angle;
  double sine = 1.0 / 1307674368000.0, cosine = 1.0 / 87178291200.0;  // 15!, 14!
  DSB_UNROLL
  for (int k = 0; k < 7; ++k) {
    constexpr double kSines[] = {
        1.0 / 6227020800.0, 1.0 / 39916800.0, 1.0 / 362880.0, 1.0 / 5040.0, 1.0 / 120.0, 1.0 / 6.0, 1.0};
    constexpr double kCosines[] = {
        1.0 / 479001600.0, 1.0 / 3628800.0, 1.0 / 40320.0, 1.0 / 720.0, 1.0 / 24.0, 0.5, 1.0};
    sine = fused(sine, z, kSines[k]);
    cosine = fused(cosine, z, kCosines[k]);
  }
  sine *= angle;
  const double c = radius * (q & 1 ? sine : cosine), s = radius * (q & 1 ? cosine : sine);
  if (word_a == 0xFFFFFFFFu || is_near_middle(c) || is_near_middle(s))
    return box_muller_exactly(word_a, word_b, first, second);
  *first = static_cast<float>((q + 1) & 2 ? -c : c);
  *second = static_cast<float>(q & 2 ? -s : s);
}

}  // namespace cuda
}  // namespace dsb
