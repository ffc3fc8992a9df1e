// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011), one counter a
// 64-bit lane. A 32 x 32 -> 64 bit product then sits in one lane, and its two halves need one shift, no shuffle.
#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {

namespace {

constexpr uint64_t kMask32 = 0xFFFFFFFFull;
constexpr uint64_t kElementsPerStep = 4 * kLanes;

// Words 0 to 3 of kLanes counters, in the low halves of the lanes; the high halves are not defined.
struct Words {
  U64 w0, w1, w2, w3;
};

// The keys of the ten rounds.
struct Keys {
  U64 k0[10], k1[10];
};

inline Keys keys_of(uint64_t seed) {
  Keys keys;
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    keys.k0[round] = set_u64(k0);
    keys.k1[round] = set_u64(k1);
  }
  return keys;
}

// C independent sets of counters: one alone would wait for its own products most of the time.
template <int C>
inline void philox(const Keys& keys, Words* w) {
  const U64 m0 = set_u64(0xD2511F53u), m1 = set_u64(0xCD9E8D57u);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    U64 p0[C], p1[C];
#pragma GCC unroll 8
    for (int k = 0; k < C; ++k) p0[k] = mul_low32(w[k].w0, m0), p1[k] = mul_low32(w[k].w2, m1);
#pragma GCC unroll 8
    for (int k = 0; k < C; ++k) {
      w[k].w0 = bit_xor(high_halves(p1[k]), w[k].w1, keys.k0[round]);
      w[k].w2 = bit_xor(high_halves(p0[k]), w[k].w3, keys.k1[round]);
      w[k].w1 = p1[k];
      w[k].w3 = p0[k];
    }
  }
}

// Sets of counters side by side: 3, 4, 5, 6 and 8 were tried.
constexpr int kSets = kFloatLanes > 1 ? 6 : 1;

inline U64 low32(U64 v) { return bit_and(v, set_u64(kMask32)); }

// Two vectors that hold the 4 * kLanes words in element order.
struct Ordered {
  U64 first, second;
};

inline Ordered in_order(U64 w0, U64 w1, U64 w2, U64 w3) {
  Ordered o;
  interleave(low_halves(w0, w1), low_halves(w2, w3), &o.first, &o.second);
  return o;
}

// Both elements of one Box-Muller pair, as float32 bits in the low halves.
struct Pair {
  U64 a, b;
};

// ln(n * 2^-32) for integers 1 <= n <= 2^32 held as doubles, by ln m = 2 atanh((m-1)/(m+1)) on [sqrt(1/2), sqrt(2)].
inline F64 log_of_fraction(F64 n) {
  const U64 bits = as_u64(n);
  U64 exponent = shift_right<52>(bits);  // biased by 1023
  F64 m = as_f64(bit_or(bit_and(bits, set_u64(0x000FFFFFFFFFFFFFull)), set_u64(0x3FF0000000000000ull)));
  const U64 big = greater(m, set_f64(1.4142135623730951));
  m = as_f64(bit_or(bit_and(big, as_u64(mul(m, set_f64(0.5)))), bit_andnot(big, as_u64(m))));
  exponent = sub(exponent, big);  // a true mask is -1
  const F64 k = sub(to_f64(exponent), set_f64(1023.0 + 32.0));
  const F64 f = sub(m, set_f64(1.0));
  const F64 s = div(f, add(set_f64(2.0), f));
  const F64 z = mul(s, s);
  F64 r = set_f64(2.0 / 23.0);
  for (int odd = 21; odd >= 3; odd -= 2) r = add(mul(r, z), set_f64(2.0 / odd));
  r = mul(r, z);
  const F64 ln_m = sub(f, mul(s, sub(f, r)));
  const F64 small = add(mul(k, set_f64(0x1.a39ef35793c76p-33)), ln_m);
  return add(mul(k, set_f64(0x1.62e42fee00000p-1)), small);
}

inline Pair box_muller(U64 word_a, U64 word_b) {
  const F64 n = add(to_f64(low32(word_a)), set_f64(1.0));
  const F64 radius = square_root(mul(set_f64(-2.0), log_of_fraction(n)));

  // The angle is word_b * 2^-32 turns: the nearest quarter turn q, and a rest of at most an eighth.
  const U64 turn = low32(word_b);
  const U64 q = shift_right<30>(add(turn, set_u64(1ull << 29)));
  const F64 rest = sub(to_f64(turn), mul(to_f64(q), set_f64(1073741824.0)));
  const F64 angle = mul(rest, set_f64(0x1.921fb54442d18p-30));  // 2 pi 2^-32
  const F64 z = mul(angle, angle);
  F64 sine = set_f64(1.0), cosine = set_f64(1.0);
  for (int n1 = 18; n1 >= 2; n1 -= 2) {  // Taylor series, nested: 1 - z/(n(n-1)) * (...)
    cosine = sub(set_f64(1.0), mul(mul(z, set_f64(1.0 / (n1 * (n1 - 1)))), cosine));
    sine = sub(set_f64(1.0), mul(mul(z, set_f64(1.0 / (n1 * (n1 + 1)))), sine));
  }
  sine = mul(sine, angle);

  const U64 swap = sub(set_u64(0), bit_and(q, set_u64(1)));
  const U64 s = as_u64(sine), c = as_u64(cosine);
  const U64 cos_bits = bit_or(bit_and(swap, s), bit_andnot(swap, c));
  const U64 sin_bits = bit_or(bit_and(swap, c), bit_andnot(swap, s));
  const U64 two = set_u64(2);
  const U64 cos_sign = shift_left<62>(bit_and(add(q, set_u64(1)), two));
  const U64 sin_sign = shift_left<62>(bit_and(q, two));
  return {float32_bits(mul(radius, as_f64(bit_xor(cos_bits, cos_sign)))),
          float32_bits(mul(radius, as_f64(bit_xor(sin_bits, sin_sign))))};
}

// store(words of kLanes counters, kElementsPerStep floats)
template <typename Store>
inline void for_each_step(const PhiloxRange& range, float* out, Store store) {
  constexpr uint64_t all = kSets * kElementsPerStep;
  const Keys keys = keys_of(range.seed);
  const auto step = [&](uint32_t block, float* to) {
    Words w[kSets];
    for (int k = 0; k < kSets; ++k)
      w[k] = {add(set_u64(block + static_cast<uint64_t>(k) * kLanes), iota_u64()), set_u64(range.stream),
              set_u64(range.index & kMask32), set_u64(range.index >> 32)};
    philox<kSets>(keys, w);
    for (int k = 0; k < kSets; ++k) store(w[k], to + static_cast<uint64_t>(k) * kElementsPerStep);
  };
  uint64_t done = 0;
  uint32_t block = range.first_block;
  for (; done + all <= range.elements; done += all, block += kSets * kLanes) step(block, out + done);
  if (done < range.elements) {
    float last[all];
    step(block, last);
    __builtin_memcpy(out + done, last, (range.elements - done) * sizeof(float));
  }
}

}  // namespace

namespace {

// span * u = (span * 2^-24) * n for u = n * 2^-24: the product is rounded once either way, if span * 2^-24 is exact.
// Where it is not, for spans below 2^-102, the values are made in [0, 1) and stretched afterwards.
struct Stretch {
  float low, span, step;
  bool exact;
};

inline Stretch stretch_of(float low, float span) {
  const float step = span * 0x1p-24f;
  if (step * 0x1p24f == span) return {low, span, step, true};
  return {0.0f, span, 0x1p-24f, false};
}

inline void finish(const Stretch& stretch, float low, uint64_t count, float* out) {
  if (stretch.exact) return;
  for (uint64_t e = 0; e < count; ++e) {
    const float product = stretch.span * out[e];
    out[e] = low + product;
  }
}

}  // namespace

void philox_uniform(const PhiloxRange& range, float low, float span, float* out) {
  const Stretch stretch = stretch_of(low, span);
  for_each_step(range, out, [&](const Words& w, float* to) {
    const Ordered o = in_order(w.w0, w.w1, w.w2, w.w3);
    store_uniform(o.first, stretch.low, stretch.step, to);
    store_uniform(o.second, stretch.low, stretch.step, to + 2 * kLanes);
  });
  finish(stretch, low, range.elements, out);
}

void philox_uniform_lanes(const PhiloxRange& range, float low, float span, float* out) {
  constexpr int half = static_cast<int>(kFloatLanes / kLanes);  // vectors of counters to a vector of floats
  constexpr int blocks = kSets / half > 0 ? kSets / half : 1, sets = blocks * half;
  const Keys keys = keys_of(range.seed);
  const Stretch stretch = stretch_of(low, span);
  U64 low_index[half], high_index[half];  // the even samples, and the odd ones
  for (int k = 0; k < half; ++k) {
    const U64 index = add(set_u64(range.index + static_cast<uint64_t>(k)), mul_low32(iota_u64(), set_u64(half)));
    low_index[k] = low32(index);
    high_index[k] = shift_right<32>(index);
  }
  uint32_t block = range.first_block;
  for (uint64_t done = 0; done < range.elements; done += 4 * blocks, block += blocks) {
    Words w[sets];
    for (int k = 0; k < sets; ++k)
      w[k] = {set_u64(block + static_cast<uint32_t>(k / half)), set_u64(range.stream), low_index[k % half],
              high_index[k % half]};
    philox<sets>(keys, w);
    for (int b = 0; b < blocks; ++b) {
      const Words &even = w[b * half], &odd = w[b * half + half - 1];
      const U64 words[4] = {low_halves(even.w0, odd.w0), low_halves(even.w1, odd.w1), low_halves(even.w2, odd.w2),
                            low_halves(even.w3, odd.w3)};
      for (int e = 0; e < 4; ++e) {
        const uint64_t at = done + static_cast<uint64_t>(4 * b + e);
        if (at >= range.elements) break;
        float line[2 * kLanes];
        store_uniform(words[e], stretch.low, stretch.step, line);
        __builtin_memcpy(out + at * kFloatLanes, line, kFloatLanes * sizeof(float));
      }
    }
  }
  finish(stretch, low, range.elements * kFloatLanes, out);
}

void philox_normal(const PhiloxRange& range, float* out) {
  for_each_step(range, out, [&](const Words& w, float* to) {
    const Pair p = box_muller(w.w0, w.w1), q = box_muller(w.w2, w.w3);
    const Ordered o = in_order(p.a, p.b, q.a, q.b);
    store_bits(o.first, to);
    store_bits(o.second, to + 2 * kLanes);
  });
}

}  // namespace DSB_VARIANT
}  // namespace dsb
