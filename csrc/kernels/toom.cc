// Transforms of the Toom-Cook convolutions F(4,5), F(6,5) and F(3,3) of F(4,5); docs/kernels.md derives them.
#include "kernels/declarations.h"
#include "kernels/lane_activation.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kWidth = static_cast<int64_t>(kFloatLanes);

inline F32 times(float factor, F32 a) { return mul(set_f32(factor), a); }
inline F32 plus_times(F32 c, float factor, F32 a) { return madd(set_f32(factor), a, c); }

// Eight neighbouring inputs at the points 0, 1, -1, 2, -2, 1/2, -1/2, infinity.
inline void at_points(const F32* x, F32* v) {
  v[0] = plus_times(sub(x[6], x[0]), 5.25f, sub(x[2], x[4]));
  F32 even = plus_times(add(x[2], x[6]), -4.25f, x[4]);
  F32 odd = plus_times(add(x[1], x[5]), -4.25f, x[3]);
  v[1] = add(even, odd);
  v[2] = sub(even, odd);
  even = plus_times(plus_times(x[6], -1.25f, x[4]), 0.25f, x[2]);
  odd = plus_times(plus_times(add(x[5], x[5]), -2.5f, x[3]), 0.5f, x[1]);
  v[3] = add(even, odd);
  v[4] = sub(even, odd);
  even = plus_times(plus_times(x[6], -5.0f, x[4]), 4.0f, x[2]);
  odd = plus_times(plus_times(times(0.5f, x[5]), -2.5f, x[3]), 2.0f, x[1]);
  v[5] = add(even, odd);
  v[6] = sub(even, odd);
  v[7] = plus_times(sub(x[7], x[1]), 5.25f, sub(x[3], x[5]));
}

// Four outputs from the sums at the eight points.
inline void from_points(const F32* m, F32* y) {
  const F32 s1 = add(m[1], m[2]), d1 = sub(m[1], m[2]);
  const F32 s2 = add(m[3], m[4]), d2 = sub(m[3], m[4]);
  const F32 s3 = add(m[5], m[6]), d3 = sub(m[5], m[6]);
  y[0] = add(add(m[0], s1), add(s2, s3));
  y[1] = plus_times(plus_times(d1, 2.0f, d2), 0.5f, d3);
  y[2] = plus_times(plus_times(s1, 4.0f, s2), 0.25f, s3);
  y[3] = plus_times(plus_times(add(d1, m[7]), 8.0f, d2), 0.125f, d3);
}

// Of the squares of F(6,5)'s pairs of points, all or all but one: the sums of their products of `size`. Exact in
// float32.
constexpr float products_of_squares(int size, int without = -1) {
  double sums[5] = {1.0, 0.0, 0.0, 0.0, 0.0};
  for (int k = 0; k < 4; ++k)
    for (int n = 4; n > 0 && k != without; --n) sums[n] += sums[n - 1] * kPairsOf6x5[k] * kPairsOf6x5[k];
  return static_cast<float>(sums[size]);
}

constexpr float power(int pair, int exponent) {
  double value = 1.0;
  for (int k = 0; k < exponent; ++k) value *= kPairsOf6x5[pair];
  return static_cast<float>(value);
}

// The product of (x^2 - p^2) over all pairs p, times x[1] or x[0] in the place of x^0.
inline F32 over_all_pairs(const F32* x) {
  constexpr float a = -products_of_squares(1), b = products_of_squares(2), c = -products_of_squares(3),
                  d = products_of_squares(4);
  return plus_times(plus_times(plus_times(plus_times(x[8], d, x[0]), a, x[6]), b, x[4]), c, x[2]);
}

// Inputs at the points p and -p of a pair.
template <int pair>
inline void at_pair(const F32* x, F32* v) {
  constexpr float a = -products_of_squares(1, pair), b = products_of_squares(2, pair),
                  c = -products_of_squares(3, pair), p = power(pair, 1);
  const F32 even = plus_times(plus_times(plus_times(x[8], a, x[6]), b, x[4]), c, x[2]);
  const F32 odd = plus_times(plus_times(plus_times(times(p, x[7]), p * a, x[5]), p * b, x[3]), p * c, x[1]);
  v[0] = add(even, odd);
  v[1] = sub(even, odd);
}

// Ten neighbouring inputs at the points 0, the pairs, infinity.
inline void at_ten_points(const F32* x, F32* v) {
  v[0] = over_all_pairs(x);
  at_pair<0>(x, v + 1);
  at_pair<1>(x, v + 3);
  at_pair<2>(x, v + 5);
  at_pair<3>(x, v + 7);
  v[9] = over_all_pairs(x + 1);
}

// first + sum over the pairs of p^exponent * terms.
template <int exponent>
inline F32 over_pairs(F32 first, const F32* terms) {
  first = plus_times(first, power(0, exponent), terms[0]);
  first = plus_times(first, power(1, exponent), terms[1]);
  first = plus_times(first, power(2, exponent), terms[2]);
  return plus_times(first, power(3, exponent), terms[3]);
}

// Six outputs from the sums at the ten points.
inline void from_ten_points(const F32* m, F32* y) {
  F32 s[4], d[4];
  for (int k = 0; k < 4; ++k) s[k] = add(m[2 * k + 1], m[2 * k + 2]), d[k] = sub(m[2 * k + 1], m[2 * k + 2]);
  const F32 none = set_f32(0.0f);
  y[0] = over_pairs<0>(m[0], s);
  y[1] = over_pairs<1>(none, d);
  y[2] = over_pairs<2>(none, s);
  y[3] = over_pairs<3>(none, d);
  y[4] = over_pairs<4>(none, s);
  y[5] = over_pairs<5>(m[9], d);
}

inline void load(const float* from, int64_t step, int count, F32* to) {
  for (int k = 0; k < count; ++k) to[k] = load_f32(from + k * step);
}

void forward_4x5(const ToomForward& t, const float* x, float* v) {
  for (int64_t tile = 0; tile < t.tiles; ++tile, x += 4 * t.in_step, v += t.v_tile) {
    F32 in[8], out[8];
    load(x, t.in_step, 8, in);
    at_points(in, out);
    for (int p = 0; p < 8; ++p) store_f32(out[p], v + p * t.v_point);
  }
}

void forward_6x5(const ToomForward& t, const float* x, float* v) {
  for (int64_t tile = 0; tile < t.tiles; ++tile, x += 6 * t.in_step, v += t.v_tile) {
    F32 in[10], out[10];
    load(x, t.in_step, 10, in);
    at_ten_points(in, out);
    for (int p = 0; p < 10; ++p) store_f32(out[p], v + p * t.v_point);
  }
}

// Five neighbouring inner tiles at one inner point, at the points 0, 1, -1, q and infinity of the outer transform.
inline void at_outer_points(const F32* d, float* v, int64_t point) {
  constexpr float q = static_cast<float>(kOuterPoint);
  const F32 odd = plus_times(d[3], -1.0f, d[1]);
  store_f32(plus_times(odd, q, sub(d[0], d[2])), v);
  store_f32(plus_times(plus_times(d[3], 1.0f - q, d[2]), -q, d[1]), v + point);
  store_f32(plus_times(plus_times(d[3], -1.0f - q, d[2]), q, d[1]), v + 2 * point);
  store_f32(odd, v + 3 * point);
  store_f32(plus_times(sub(d[4], d[2]), -q, odd), v + 4 * point);
}

void forward_12x13(const ToomForward& t, const float* x, float* v) {
  F32 in[8], inner[5][8];  // the first two also serve the tile before
  const auto make = [&](int k) {
    load(x + 4 * k * t.in_step, t.in_step, 8, in);
    at_points(in, inner[k]);
  };
  make(0);
  make(1);
  for (int64_t tile = 0; tile < t.tiles; ++tile, x += 12 * t.in_step, v += t.v_tile) {
    make(2);
    make(3);
    make(4);
#pragma GCC unroll 8
    for (int p = 0; p < 8; ++p) {
      const F32 d[5] = {inner[0][p], inner[1][p], inner[2][p], inner[3][p], inner[4][p]};
      at_outer_points(d, v + p * t.v_point, 8 * t.v_point);
      inner[0][p] = inner[3][p];
      inner[1][p] = inner[4][p];
    }
  }
}

template <Toom kind>
constexpr int outputs() {
  return kind == Toom::f4x5 ? 4 : kind == Toom::f6x5 ? 6 : 12;
}

template <Toom kind>
constexpr int points() {
  return kind == Toom::f4x5 ? 8 : kind == Toom::f6x5 ? 10 : 40;
}

// The sums at a tile's points lie one behind the other.
template <Toom kind>
inline void results(const float* m, F32* y) {
  if (kind == Toom::f6x5) {
    F32 all[10];
    load(m, kWidth, 10, all);
    from_ten_points(all, y);
    return;
  }
  F32 a[8], b[8], c[8];
  if (kind == Toom::f4x5) {
    load(m, kWidth, 8, a);
    from_points(a, y);
    return;
  }
  constexpr float q = static_cast<float>(kOuterPoint);
#pragma GCC unroll 8
  for (int p = 0; p < 8; ++p, m += kWidth) {
    F32 outer[5];
    load(m, 8 * kWidth, 5, outer);
    const F32 sum = add(outer[1], outer[2]);
    a[p] = add(add(outer[0], sum), outer[3]);
    b[p] = plus_times(sub(outer[1], outer[2]), q, outer[3]);
    c[p] = plus_times(add(sum, outer[4]), q * q, outer[3]);
  }
  from_points(a, y);
  from_points(b, y + 4);
  from_points(c, y + 8);
}

// Bias and activation of N neighbouring outputs, of which `n` is the first; those outside [0, length) are left out. All
// written out, so that y stays in registers.
template <int N>
inline void finish(const ToomInverse& t, F32 bias, const F32* y, int64_t n, float* out) {
  const int64_t step = t.out_step;
  float* to = out + n * step;
  if (n < 0 || n + N > t.length) {
#pragma GCC unroll 40
    for (int i = 0; i < N; ++i)
      if (n + i >= 0 && n + i < t.length) store_f32(activated(add(bias, y[i]), t.activation, t.slope), to + i * step);
    return;
  }
  const auto each = [&](auto activation) {
#pragma GCC unroll 40
    for (int i = 0; i < N; ++i) store_f32(activation(add(bias, y[i])), to + i * step);
  };
  if (t.activation == Activation::relu) return each(relu);
  if (t.activation == Activation::tanh) return each(tanh_lanes);
  const F32 slope = set_f32(t.slope);
  if (t.activation == Activation::lrelu) return each([&](F32 v) { return lrelu(v, slope); });
  each([](F32 v) { return v; });
}

// One unit, Q filters.
template <Toom kind, int Q>
inline void inverse(const ToomInverse& t, const float* m, F32 bias, float* carry, float* out) {
  constexpr int positions = outputs<kind>();
  F32 last[Q];  // [d], 0 < d < Q: sum over q < Q - d of S_q at the position before
  for (int d = 1; d < Q; ++d) last[d] = load_f32(carry + (d - 1) * kWidth);
  int64_t n = t.first - (Q - 1);
  for (int64_t tile = 0; tile < t.tiles; ++tile, m += t.m_tile, n += Q * positions) {
    F32 s[Q][positions], y[Q * positions];
    for (int q = 0; q < Q; ++q) results<kind>(m + q * points<kind>() * kWidth, s[q]);
    for (int i = 0; i < positions; ++i) {
      F32 prefix = s[0][i], suffix[Q + 1];
      suffix[Q - 1] = s[Q - 1][i];
      for (int q = Q - 2; q > 0; --q) suffix[q] = add(s[q][i], suffix[q + 1]);
      for (int k = 1; k < Q; ++k) {  // prefix: sum over q < k
        const int d = Q - k;
        y[Q * i + d - 1] = add(last[d], suffix[k]);
        last[d] = prefix;
        prefix = add(prefix, s[k][i]);
      }
      y[Q * i + Q - 1] = prefix;
    }
    finish<Q * positions>(t, bias, y, n, out);
  }
  for (int d = 1; d < Q; ++d) store_f32(last[d], carry + (d - 1) * kWidth);
}

template <Toom kind>
inline void inverse_of(const ToomInverse& t, const float* m, const float* bias, float* carry, float* out) {
  for (int64_t u = 0; u < t.units; ++u, m += t.m_unit, out += t.out_unit, carry += (t.phases - 1) * kWidth) {
    const F32 b = load_f32(bias + u * kWidth);
    if (t.phases == 1) inverse<kind, 1>(t, m, b, carry, out);
    if (t.phases == 2) inverse<kind, 2>(t, m, b, carry, out);
    if (t.phases == 5) inverse<kind, 5>(t, m, b, carry, out);
  }
}

}  // namespace

void toom_forward(const ToomForward& t, const float* x, float* v) {
  const auto one = t.kind == Toom::f4x5 ? forward_4x5 : t.kind == Toom::f6x5 ? forward_6x5 : forward_12x13;
  const int64_t per_tile = t.kind == Toom::f4x5 ? 4 : t.kind == Toom::f6x5 ? 6 : 12;
  const int64_t reads = t.tiles * per_tile + (t.kind == Toom::f12x13 ? 12 : 4);
  for (int64_t u = 0; u < t.units; ++u, x += t.in_unit, v += t.v_unit) {
    // A unit's share is too short for the hardware to see a stream in it.
    if (u + 1 < t.units)
      for (int64_t k = 0; k < reads; ++k) __builtin_prefetch(x + t.in_unit + k * t.in_step);
    one(t, x, v);
  }
}

void toom_inverse(const ToomInverse& t, const float* m, const float* bias, float* carry, float* out) {
  const auto all = t.kind == Toom::f4x5   ? inverse_of<Toom::f4x5>
                   : t.kind == Toom::f6x5 ? inverse_of<Toom::f6x5>
                                          : inverse_of<Toom::f12x13>;
  all(t, m, bias, carry, out);
}

}  // namespace DSB_VARIANT
}  // namespace dsb
