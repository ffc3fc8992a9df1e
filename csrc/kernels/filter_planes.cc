// Separable filters of four taps over a plane, at twice, half or the same size: both passes in one, so that an input
// row is read once, filtered along x into a row that stays in the cache, and met there by the sums along y.
#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kWidth = static_cast<int64_t>(kFloatLanes);

// Inputs are asked for so many floats in advance, two rows at least: while rows are summed nothing is read.
constexpr int64_t kAhead = 1024;

// x[at] to x[at + kWidth - 1], with zeros beside the row. The caller knows of vectors that lie within it.
template <bool kWithin>
inline F32 load_row(const float* x, int64_t at, int64_t width) {
  if (kWithin || (at >= 0 && at + kWidth <= width)) return load_f32(x + at);
  return load_between(x + at, -at, width - at);
}

// The two inputs that an output's two taps meet when zeros were inserted: x[at] and x[at + 1].
struct Phase {
  F32 first, second;
  int64_t at;
};

// Outputs 2 k and 2 k + 1 meet x[k + at], x[k + at + 1] of their phase. A pair of taps meets samples where position +
// tap - pad is even.
inline void phases_of(const float* taps, int64_t pad, Phase* phases) {
  for (int64_t r = 0; r < 2; ++r) {
    const int64_t tap = (r - pad) & 1;
    phases[r] = {set_f32(taps[tap]), set_f32(taps[tap + 2]), (r + tap - pad) / 2};
  }
}

struct AlongX {
  const FilterPlane& p;
  int64_t ahead;
  F32 tap[kFilterTaps];
  Phase phases[2];

  AlongX(const FilterPlane& plane, const float* taps)
      : p(plane), ahead(2 * plane.in_width > kAhead ? 2 * plane.in_width : kAhead) {
    for (int64_t t = 0; t < kFilterTaps; ++t) tap[t] = set_f32(taps[t]);
    phases_of(taps, p.pad_left, phases);
  }

  template <bool kWithin>
  F32 same(const float* x, int64_t at) const {
    F32 sum = set_f32(0.0f);
#pragma GCC unroll 4
    for (int64_t t = 0; t < kFilterTaps; ++t) sum = madd(tap[t], load_row<kWithin>(x, at + t, p.in_width), sum);
    return sum;
  }

  template <bool kWithin>
  F32 halved(const float* x, int64_t at) const {
    F32 sum = set_f32(0.0f), even, odd;
#pragma GCC unroll 2
    for (int64_t t = 0; t < kFilterTaps; t += 2) {
      deinterleave(load_row<kWithin>(x, at + t, p.in_width), load_row<kWithin>(x, at + t + kWidth, p.in_width), &even,
                   &odd);
      sum = madd(tap[t + 1], odd, madd(tap[t], even, sum));
    }
    return sum;
  }

  template <bool kWithin>
  F32 phase(const float* x, int64_t k, const Phase& f) const {
    const F32 first = madd(f.first, load_row<kWithin>(x, k + f.at, p.in_width), set_f32(0.0f));
    return madd(f.second, load_row<kWithin>(x, k + f.at + 1, p.in_width), first);
  }

  // Writes whole vectors, two at a time when doubling.
  void row(const float* x, float* out) const {
    if (p.up == 2) {
      const int64_t least = phases[0].at < phases[1].at ? phases[0].at : phases[1].at;
      const int64_t most = phases[0].at < phases[1].at ? phases[1].at : phases[0].at;
      for (int64_t k = 0; 2 * k < p.out_width; k += kWidth) {
        const bool within = k + least >= 0 && k + most + 1 + kWidth <= p.in_width;
        __builtin_prefetch(x + k + ahead);
        const F32 even = within ? phase<true>(x, k, phases[0]) : phase<false>(x, k, phases[0]);
        const F32 odd = within ? phase<true>(x, k, phases[1]) : phase<false>(x, k, phases[1]);
        F32 first, second;
        interleave(even, odd, &first, &second);
        store_f32(first, out + 2 * k);
        store_f32(second, out + 2 * k + kWidth);
      }
    } else {
      const int64_t reach = kFilterTaps - 1 + p.down * kWidth;  // inputs that a vector of outputs meets
      for (int64_t o = 0; o < p.out_width; o += kWidth) {
        const int64_t at = o * p.down - p.pad_left;
        const bool within = at >= 0 && at + reach <= p.in_width;
        __builtin_prefetch(x + o * p.down + ahead);
        if (p.down == 2) __builtin_prefetch(x + o * p.down + ahead + kWidth);
        if (p.down == 2)
          store_f32(within ? halved<true>(x, at) : halved<false>(x, at), out + o);
        else
          store_f32(within ? same<true>(x, at) : same<false>(x, at), out + o);
      }
    }
  }
};

// out = gain * sum over k of taps[k] * rows[k]. kLines: whole, aligned lines, written around the caches.
template <int N, bool kLines>
inline void along_y(const float* const* rows, const F32* taps, F32 gain, int64_t width, float* out) {
  for (int64_t o = 0; o < width; o += kWidth) {
    F32 sum = set_f32(0.0f);
#pragma GCC unroll 4
    for (int k = 0; k < N; ++k) sum = madd(taps[k], load_f32(rows[k] + o), sum);
    sum = mul(sum, gain);
    if (kLines)
      stream_f32(sum, out + o);
    else if (o + kWidth <= width)
      store_f32(sum, out + o);
    else
      store_first(sum, width - o, out + o);
  }
}

// Results on their way past the cache: they are collected until there are whole lines of memory.
struct Stream {
  float *held, *out;
  int64_t count = 0;

  // All whole lines; with `last` the rest too.
  void flush(bool last) {
    int64_t done = 0;
    while (done < count && reinterpret_cast<uintptr_t>(out + done) % 64) ++done;
    for (int64_t k = 0; k < done; ++k) out[k] = held[k];
    for (; done + 16 <= count; done += 16)
      for (int64_t k = 0; k < 16; k += kWidth) stream_f32(load_f32(held + done + k), out + done + k);
    for (; last && done < count; ++done) out[done] = held[done];
    for (int64_t k = done; k < count; ++k) held[k - done] = held[k];
    out += done, count -= done;
  }
};

}  // namespace

void filter_planes(const FilterPlane& p, int64_t planes, const float* x, const float* taps_x, const float* taps_y,
                   float gain, bool past_cache, float* memory, float* out) {
  float *ring = memory, *zeros = memory + kFilterTaps * p.row;
  for (int64_t k = 0; k < p.row; ++k) zeros[k] = 0.0f;
  Stream stream = {zeros + p.row, out};
  const bool lines = past_cache && p.out_width % 16 == 0 && reinterpret_cast<uintptr_t>(out) % 64 == 0;
  const bool collect = past_cache && !lines;
  const AlongX along_x(p, taps_x);
  const F32 factor = set_f32(gain);
  Phase phases[2];
  phases_of(taps_y, p.pad_top, phases);
  F32 taps[kFilterTaps];
  for (int64_t t = 0; t < kFilterTaps; ++t) taps[t] = set_f32(taps_y[t]);
  const int64_t count = p.up == 2 ? 2 : kFilterTaps, in_height = p.in_width ? p.in_height : 0;
  for (int64_t plane = 0; plane < planes; ++plane, x += p.in_height * p.in_width) {
    int64_t made = 0;  // rows that were filtered or are not needed any more
    for (int64_t oy = 0; oy < p.out_height; ++oy, out += p.out_width) {
      const Phase& phase = phases[oy % 2];
      const int64_t first = p.up == 2 ? oy / 2 + phase.at : oy * p.down - p.pad_top;
      if (made < first) made = first;
      for (; made < first + count && made < in_height; ++made)
        along_x.row(x + made * p.in_width, ring + made % kFilterTaps * p.row);
      const float* rows[kFilterTaps];
      for (int64_t k = 0; k < count; ++k) {
        const int64_t row = first + k;
        rows[k] = row < 0 || row >= in_height ? zeros : ring + row % kFilterTaps * p.row;
      }
      if (collect && stream.count + p.out_width > p.row + kFilterStream) stream.flush(false);
      float* to = collect ? stream.held + stream.count : out;
      stream.count += p.out_width;
      if (p.up == 2) {
        const F32 pair[2] = {phase.first, phase.second};
        lines ? along_y<2, true>(rows, pair, factor, p.out_width, to)
              : along_y<2, false>(rows, pair, factor, p.out_width, to);
      } else {
        lines ? along_y<kFilterTaps, true>(rows, taps, factor, p.out_width, to)
              : along_y<kFilterTaps, false>(rows, taps, factor, p.out_width, to);
      }
    }
  }
  if (collect) stream.flush(true);
  if (past_cache) stream_fence();
}

}  // namespace DSB_VARIANT
}  // namespace dsb
