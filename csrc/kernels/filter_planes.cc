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

// Vectors of a row's results whose inputs reach beyond the row; which lanes they have is found once, not in every row.
constexpr int64_t kEdges = 8;
struct Edge {
  Lanes lanes[kFilterTaps];
};

// The inputs of a vector of results.
struct Within {
  F32 operator()(const float* x, int64_t) const { return load_f32(x); }
};
struct AtEdge {
  const Edge& edge;
  F32 operator()(const float* x, int64_t load) const { return load_lanes(x, edge.lanes[load]); }
};

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
  int64_t count, first, end;  // vectors of results; those whose inputs are all within the row
  F32 tap[kFilterTaps];
  Phase phases[2];
  Edge edges[kEdges];

  AlongX(const FilterPlane& plane, const float* taps)
      : p(plane), ahead(2 * plane.in_width > kAhead ? 2 * plane.in_width : kAhead) {
    for (int64_t t = 0; t < kFilterTaps; ++t) tap[t] = set_f32(taps[t]);
    phases_of(taps, p.pad_left, phases);
    const int64_t most = phases[0].at < phases[1].at ? phases[1].at : phases[0].at;
    const int64_t least = p.up == 1 ? -p.pad_left : phases[0].at < phases[1].at ? phases[0].at : phases[1].at;
    const int64_t reach = p.up == 1 ? kFilterTaps - 1 + p.down * kWidth : most + 1 + kWidth - least;
    count = (p.out_width + p.up * kWidth - 1) / (p.up * kWidth);
    for (first = 0; first < count && input_of(first) + least < 0;) ++first;
    for (end = count; end > first && input_of(end - 1) + least + reach > p.in_width;) --end;
    for (int64_t e = 0; e < kEdges && edge_at(e) < count; ++e) edges[e] = edge_of(edge_at(e));
  }

  int64_t input_of(int64_t vector) const { return vector * kWidth * p.down; }
  // The vector of edge number e.
  int64_t edge_at(int64_t e) const { return e < first ? e : e - first + end; }
  // Where the loads of a vector's results begin.
  int64_t load_at(int64_t vector, int64_t load) const {
    const int64_t at = input_of(vector);
    if (p.up == 2) return at + phases[load / 2].at + load % 2;
    return at - p.pad_left + (p.down == 2 ? load / 2 * 2 + load % 2 * kWidth : load);
  }
  Edge edge_of(int64_t vector) const {
    Edge edge;
    for (int64_t load = 0; load < kFilterTaps; ++load) {
      const int64_t at = load_at(vector, load);
      edge.lanes[load] = lanes_between(-at, p.in_width - at);
    }
    return edge;
  }

  template <typename Load>
  F32 same(const float* x, const Load& loaded) const {
    F32 sum = set_f32(0.0f);
#pragma GCC unroll 4
    for (int64_t t = 0; t < kFilterTaps; ++t) sum = madd(tap[t], loaded(x + t, t), sum);
    return sum;
  }

  template <typename Load>
  F32 halved(const float* x, const Load& loaded) const {
    F32 sum = set_f32(0.0f), even, odd;
#pragma GCC unroll 2
    for (int64_t t = 0; t < kFilterTaps; t += 2) {
      deinterleave(loaded(x + t, t), loaded(x + t + kWidth, t + 1), &even, &odd);
      sum = madd(tap[t + 1], odd, madd(tap[t], even, sum));
    }
    return sum;
  }

  // Two vectors of results for kWidth positions.
  template <typename Load>
  void doubled(const float* x, const Load& loaded, F32* made) const {
    F32 result[2];
#pragma GCC unroll 2
    for (int r = 0; r < 2; ++r) {
      const Phase& f = phases[r];
      result[r] = madd(f.first, loaded(x + f.at, 2 * r), set_f32(0.0f));
      result[r] = madd(f.second, loaded(x + f.at + 1, 2 * r + 1), result[r]);
    }
    interleave(result[0], result[1], made, made + 1);
  }

  // kUp vectors of results.
  template <int kUp, int kDown, typename Load>
  void results(const float* x, int64_t k, const Load& loaded, F32* made) const {
    if (kUp == 2)
      doubled(x + k * kWidth, loaded, made);
    else if (kDown == 2)
      *made = halved(x + 2 * k * kWidth - p.pad_left, loaded);
    else
      *made = same(x + k * kWidth - p.pad_left, loaded);
  }

  template <int kUp, int kDown, typename Load>
  void vector(const float* x, int64_t k, const Load& loaded, float* out) const {
    if (kUp == 2) {
      F32 made[2];
      doubled(x + k * kWidth, loaded, made);
      store_f32(made[0], out + 2 * k * kWidth);
      store_f32(made[1], out + (2 * k + 1) * kWidth);
    } else if (kDown == 2) {
      store_f32(halved(x + 2 * k * kWidth - p.pad_left, loaded), out + k * kWidth);
    } else {
      store_f32(same(x + k * kWidth - p.pad_left, loaded), out + k * kWidth);
    }
  }

  // Vector k, which is edge number e.
  template <int kUp, int kDown>
  void at_edge(const float* x, int64_t k, int64_t e, float* out) const {
    __builtin_prefetch(x + k * kWidth * kDown + ahead);
    if (kDown == 2) __builtin_prefetch(x + k * kWidth * kDown + kWidth + ahead);
    if (e < kEdges)
      vector<kUp, kDown>(x, k, AtEdge{edges[e]}, out);
    else
      vector<kUp, kDown>(x, k, AtEdge{edge_of(k)}, out);
  }

  // Writes whole vectors, two at a time when doubling.
  template <int kUp, int kDown>
  void row_of(const float* x, float* out) const {
    for (int64_t k = 0; k < first; ++k) at_edge<kUp, kDown>(x, k, k, out);
    const float* next = x + ahead;
    for (int64_t k = first; k < end; ++k) {
      __builtin_prefetch(next + k * kWidth * kDown);
      if (kDown == 2) __builtin_prefetch(next + k * kWidth * kDown + kWidth);
      vector<kUp, kDown>(x, k, Within(), out);
    }
    for (int64_t k = end; k < count; ++k) at_edge<kUp, kDown>(x, k, k - end + first, out);
  }

  void row(const float* x, float* out) const {
    if (p.up == 2)
      row_of<2, 1>(x, out);
    else if (p.down == 2)
      row_of<1, 2>(x, out);
    else
      row_of<1, 1>(x, out);
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

// Planes of rows of V vectors, twice that many results when doubling: the filtered rows stay in registers. kLines as
// for along_y; the same sums.
template <int V, int kUp, int kDown, bool kLines>
void narrow_planes(const AlongX& along, const F32* taps, const Phase* phases, F32 gain, int64_t planes, const float* x,
                   float* out) {
  constexpr int kVectors = V * kUp;
  const FilterPlane& p = along.p;
  const int64_t height = p.in_width ? p.in_height : 0, width = p.in_width, row = p.out_width;
  Edge edges[V];
  for (int v = 0; v < V; ++v) edges[v] = along.edge_of(v);
  const bool apart = phases[1].at != phases[0].at;
  const int64_t top = kUp == 2 ? phases[0].at : -p.pad_top;
  for (int64_t plane = 0; plane < planes; ++plane, x += p.in_height * width) {
    F32 rows[4][kVectors];
    const auto filter = [&](int64_t y, F32* made) {
      if (y < 0 || y >= height) {
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) made[v] = set_f32(0.0f);
        return;
      }
      const float* from = x + y * width;
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        __builtin_prefetch(from + v * kWidth * kDown + along.ahead);
        if (kDown == 2) __builtin_prefetch(from + v * kWidth * kDown + kWidth + along.ahead);
        along.results<kUp, kDown>(from, v, AtEdge{edges[v]}, made + v * kUp);
      }
    };
    const auto write = [&](const F32* const* from, const F32* factors) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        F32 sum = set_f32(0.0f);
#pragma GCC unroll 4
        for (int k = 0; k < kFilterTaps / kUp; ++k) sum = madd(factors[k], from[k][v], sum);
        sum = mul(sum, gain);
        if (kLines)
          stream_f32(sum, out + v * kWidth);
        else if ((v + 1) * kWidth <= row)
          store_f32(sum, out + v * kWidth);
        else if (v * kWidth < row)
          store_first(sum, row - v * kWidth, out + v * kWidth);
      }
      out += row;
    };
    const auto shift = [&](int by, int count) {
#pragma GCC unroll 3
      for (int k = 0; k < count; ++k) {
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) rows[k][v] = rows[k + by][v];
      }
    };
    if (kUp == 2) {
      const F32 pairs[2][2] = {{phases[0].first, phases[0].second}, {phases[1].first, phases[1].second}};
      filter(top, rows[0]);
      filter(top + 1, rows[1]);
      for (int64_t y = 0; y < p.out_height; y += 2) {
        filter(top + y / 2 + 2, rows[2]);
        const F32 *first[2] = {rows[0], rows[1]}, *second[2] = {rows[1], rows[2]};
        write(first, pairs[0]);
        if (y + 1 < p.out_height) apart ? write(second, pairs[1]) : write(first, pairs[1]);
        shift(1, 2);
      }
      continue;
    }
    constexpr int kKept = kFilterTaps - kDown;
#pragma GCC unroll 3
    for (int k = 0; k < kKept; ++k) filter(top + k, rows[k]);
    for (int64_t y = 0; y < p.out_height; ++y) {
#pragma GCC unroll 2
      for (int k = kKept; k < kFilterTaps; ++k) filter(top + y * kDown + k, rows[k]);
      const F32* all[kFilterTaps] = {rows[0], rows[1], rows[2], rows[3]};
      write(all, taps);
      shift(kDown, kKept);
    }
  }
}

template <int kUp, int kDown>
void narrow(bool lines, const AlongX& along, const F32* taps, const Phase* phases, F32 gain, int64_t planes,
            const float* x, float* out) {
#define DSB_NARROW(V)                                                                     \
  if (along.count == V)                                                                   \
    lines ? narrow_planes<V, kUp, kDown, true>(along, taps, phases, gain, planes, x, out) \
          : narrow_planes<V, kUp, kDown, false>(along, taps, phases, gain, planes, x, out);
  DSB_NARROW(1)
  DSB_NARROW(2)
  DSB_NARROW(4)
#undef DSB_NARROW
}

// Whether rows were narrow enough. A function of its own: what it takes by address could not stay in the registers of
// filter_planes.
[[gnu::noinline]] bool all_narrow(const FilterPlane& p, bool lines, const float* taps_x, const float* taps_y,
                                  float gain, int64_t planes, const float* x, float* out) {
  const int64_t vectors = (p.out_width + p.up * kWidth - 1) / (p.up * kWidth);
  if (vectors != 1 && vectors != 2 && vectors != 4) return false;
  const AlongX along(p, taps_x);
  Phase phases[2];
  phases_of(taps_y, p.pad_top, phases);
  F32 taps[kFilterTaps];
  for (int64_t t = 0; t < kFilterTaps; ++t) taps[t] = set_f32(taps_y[t]);
  const auto fits = p.up == 2 ? narrow<2, 1> : p.down == 2 ? narrow<1, 2> : narrow<1, 1>;
  fits(lines, along, taps, phases, set_f32(gain), planes, x, out);
  return true;
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
  const F32 factor = set_f32(gain);
  Phase phases[2];
  phases_of(taps_y, p.pad_top, phases);
  F32 taps[kFilterTaps];
  for (int64_t t = 0; t < kFilterTaps; ++t) taps[t] = set_f32(taps_y[t]);
  if (!collect && all_narrow(p, lines, taps_x, taps_y, gain, planes, x, out)) {
    if (past_cache) stream_fence();
    return;
  }
  const AlongX along_x(p, taps_x);
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
