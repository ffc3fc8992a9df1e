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

inline Words philox(const PhiloxRange& range, U64 c0, U64 c2, U64 c3) {
  const U64 m0 = set_u64(0xD2511F53u), m1 = set_u64(0xCD9E8D57u);
  U64 c1 = set_u64(range.stream);
  uint32_t k0 = static_cast<uint32_t>(range.seed), k1 = static_cast<uint32_t>(range.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const U64 p0 = mul_low32(c0, m0), p1 = mul_low32(c2, m1);
    c0 = bit_xor(bit_xor(shift_right<32>(p1), c1), set_u64(k0));
    c2 = bit_xor(bit_xor(shift_right<32>(p0), c3), set_u64(k1));
    c1 = p1;
    c3 = p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

inline Words philox(const PhiloxRange& range, uint32_t block) {
  return philox(range, add(set_u64(block), iota_u64()), set_u64(range.index & kMask32), set_u64(range.index >> 32));
}

inline U64 low32(U64 v) { return bit_and(v, set_u64(kMask32)); }

// Two vectors that hold the 4 * kLanes words in element order.
struct Ordered {
  U64 first, second;
};

inline Ordered in_order(U64 w0, U64 w1, U64 w2, U64 w3) {
  Ordered o;
  interleave(bit_or(low32(w0), shift_left<32>(w1)), bit_or(low32(w2), shift_left<32>(w3)), &o.first, &o.second);
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

template <typename Store>
inline void for_each_step(const PhiloxRange& range, float* out, Store store) {
  uint64_t done = 0;
  uint32_t block = range.first_block;
  for (; done + kElementsPerStep <= range.elements; done += kElementsPerStep, block += kLanes) store(block, out + done);
  if (done < range.elements) {
    float last[kElementsPerStep];
    store(block, last);
    __builtin_memcpy(out + done, last, (range.elements - done) * sizeof(float));
  }
}

}  // namespace

void philox_uniform(const PhiloxRange& range, float low, float span, float* out) {
  for_each_step(range, out, [&](uint32_t block, float* to) {
    const Words w = philox(range, block);
    const Ordered o = in_order(w.w0, w.w1, w.w2, w.w3);
    store_uniform(o.first, low, span, to);
    store_uniform(o.second, low, span, to + 2 * kLanes);
  });
}

void philox_uniform_lanes(const PhiloxRange& range, float low, float span, float* out) {
  constexpr uint64_t half = kFloatLanes / kLanes;  // vectors of counters to a vector of floats
  U64 low_index[half], high_index[half];           // the even samples, and the odd ones
  for (uint64_t k = 0; k < half; ++k) {
    const U64 index = add(set_u64(range.index + k), mul_low32(iota_u64(), set_u64(half)));
    low_index[k] = low32(index);
    high_index[k] = shift_right<32>(index);
  }
  uint32_t block = range.first_block;
  for (uint64_t done = 0; done < range.elements; done += 4, ++block) {
    Words w[half];
    for (uint64_t k = 0; k < half; ++k) w[k] = philox(range, set_u64(block), low_index[k], high_index[k]);
    float* to = out + done * kFloatLanes;
    const U64 words[4][2] = {
        {w[0].w0, w[half - 1].w0}, {w[0].w1, w[half - 1].w1}, {w[0].w2, w[half - 1].w2}, {w[0].w3, w[half - 1].w3}};
    for (uint64_t e = 0; e < 4 && done + e < range.elements; ++e) {
      float line[2 * kLanes];
      store_uniform(bit_or(low32(words[e][0]), shift_left<32>(words[e][1])), low, span, line);
      __builtin_memcpy(to + e * kFloatLanes, line, kFloatLanes * sizeof(float));
    }
  }
}

void philox_normal(const PhiloxRange& range, float* out) {
  for_each_step(range, out, [&](uint32_t block, float* to) {
    const Words w = philox(range, block);
    const Pair p = box_muller(w.w0, w.w1), q = box_muller(w.w2, w.w3);
    const Ordered o = in_order(p.a, p.b, q.a, q.b);
    store_bits(o.first, to);
    store_bits(o.second, to + 2 * kLanes);
  });
}

}  // namespace DSB_VARIANT
}  // namespace dsb
