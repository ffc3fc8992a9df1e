// Transforms of the Toom-Cook convolutions F(4,5), F(6,5) and F(2,3) of F(4,5); docs/kernels.md derives them.
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

// a x^7 + b x^5 + c x^3 + d x, or the same one power up.
inline F32 four_terms(const F32* x, float a, float b, float c, float d) {
  return plus_times(plus_times(plus_times(times(a, x[6]), b, x[4]), c, x[2]), d, x[0]);
}

// Ten neighbouring inputs at the points 0, 1, -1, 2, -2, 1/2, -1/2, 4, -4, infinity.
inline void at_ten_points(const F32* x, F32* v) {
  v[0] = plus_times(plus_times(plus_times(plus_times(x[8], 16.0f, x[0]), -21.25f, x[6]), 89.25f, x[4]), -85.0f, x[2]);
  const auto pair = [&](float point, float a, float b, float c, F32* to) {
    const F32 even = four_terms(x + 2, 1.0f, a, b, c);
    const F32 odd = four_terms(x + 1, point, point * a, point * b, point * c);
    to[0] = add(even, odd);
    to[1] = sub(even, odd);
  };
  pair(1.0f, -20.25f, 69.0f, -16.0f, v + 1);
  pair(2.0f, -17.25f, 20.25f, -4.0f, v + 3);
  pair(0.5f, -21.0f, 84.0f, -64.0f, v + 5);
  pair(4.0f, -5.25f, 5.25f, -1.0f, v + 7);
  v[9] = plus_times(plus_times(plus_times(plus_times(x[9], 16.0f, x[1]), -21.25f, x[7]), 89.25f, x[5]), -85.0f, x[3]);
}

// Six outputs from the sums at the ten points.
inline void from_ten_points(const F32* m, F32* y) {
  F32 s[4], d[4];
  for (int k = 0; k < 4; ++k) s[k] = add(m[2 * k + 1], m[2 * k + 2]), d[k] = sub(m[2 * k + 1], m[2 * k + 2]);
  const auto sum = [&](F32 first, const F32* terms, float two, float half, float four) {
    return plus_times(plus_times(plus_times(first, two, terms[1]), half, terms[2]), four, terms[3]);
  };
  y[0] = sum(add(m[0], s[0]), s, 1.0f, 1.0f, 1.0f);
  y[1] = sum(d[0], d, 2.0f, 0.5f, 4.0f);
  y[2] = sum(s[0], s, 4.0f, 0.25f, 16.0f);
  y[3] = sum(d[0], d, 8.0f, 0.125f, 64.0f);
  y[4] = sum(s[0], s, 16.0f, 0.0625f, 256.0f);
  y[5] = sum(add(m[9], d[0]), d, 32.0f, 0.03125f, 1024.0f);
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

void forward_8x13(const ToomForward& t, const float* x, float* v) {
  F32 in[8], a[8], b[8], c[8], d[8];  // the four inner tiles; two of them serve the next outer one
  load(x, t.in_step, 8, in);
  at_points(in, a);
  load(x + 4 * t.in_step, t.in_step, 8, in);
  at_points(in, b);
  for (int64_t tile = 0; tile < t.tiles; ++tile, x += 8 * t.in_step, v += t.v_tile) {
    load(x + 8 * t.in_step, t.in_step, 8, in);
    at_points(in, c);
    load(x + 12 * t.in_step, t.in_step, 8, in);
    at_points(in, d);
    for (int p = 0; p < 8; ++p) {
      float* to = v + p * t.v_point;
      store_f32(sub(a[p], c[p]), to);
      store_f32(add(b[p], c[p]), to + 8 * t.v_point);
      store_f32(sub(c[p], b[p]), to + 16 * t.v_point);
      store_f32(sub(b[p], d[p]), to + 24 * t.v_point);
      a[p] = c[p];
      b[p] = d[p];
    }
  }
}

template <Toom kind>
constexpr int outputs() {
  return kind == Toom::f4x5 ? 4 : kind == Toom::f6x5 ? 6 : 8;
}

template <Toom kind>
constexpr int points() {
  return kind == Toom::f4x5 ? 8 : kind == Toom::f6x5 ? 10 : 32;
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
  F32 a[8], b[8];
  if (kind == Toom::f4x5) {
    load(m, kWidth, 8, a);
    from_points(a, y);
    return;
  }
  for (int p = 0; p < 8; ++p, m += kWidth) {
    const F32 m1 = load_f32(m + 8 * kWidth), m2 = load_f32(m + 16 * kWidth);
    a[p] = add(add(load_f32(m), m1), m2);
    b[p] = sub(sub(m1, m2), load_f32(m + 24 * kWidth));
  }
  from_points(a, y);
  from_points(b, y + 4);
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
  const auto one = t.kind == Toom::f4x5 ? forward_4x5 : t.kind == Toom::f6x5 ? forward_6x5 : forward_8x13;
  const int64_t per_tile = t.kind == Toom::f4x5 ? 4 : t.kind == Toom::f6x5 ? 6 : 8;
  const int64_t reads = t.tiles * per_tile + (t.kind == Toom::f8x13 ? 12 : 4);
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
                                          : inverse_of<Toom::f8x13>;
  all(t, m, bias, carry, out);
}

}  // namespace DSB_VARIANT
}  // namespace dsb
