// upfirdn2d on [outer, height, width, inner], which both layouts are: a warp's threads stand side by side along the
// inner axis, then along the row, so that they read and write neighbouring memory.
//
// Four taps an axis at the same, twice or half the size, which is what StyleGAN2 has, go by strips: a thread holds a
// column of eight results, walks down the rows that they need and filters each along x once, from registers. Every
// value is read from memory once and from the first cache four times.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/layout.h"
#include "cuda/planes.h"

namespace dsb {
namespace cuda {
namespace {

constexpr int kStrip = 8, kStripTaps = 4;

// Index: inner vector, column of the result, strip, outer. V values of a thread are neighbouring channels, or, where
// there is one value a column, two neighbouring columns.
template <class T, int V, int Up, int Down, Along along>
struct StripBody {
  static_assert(along == Along::channels || V == 2, "columns come in pairs");
  static constexpr int kColumns = along == Along::pixels ? V : 1;

  Planes planes;
  uint32_t strips;
  int32_t top, left;
  float taps_x[kStripTaps], taps_y[kStripTaps];
  float gain;
  const T* x;
  T* y;

  DSB_HD void operator()(uint32_t k) const {
    const uint32_t columns = static_cast<uint32_t>(planes.out_w / kColumns);
    const uint32_t g = k % planes.inner, rest = k / planes.inner;
    const int32_t column = static_cast<int32_t>(rest % columns) * kColumns;
    const uint32_t above = rest / columns, strip = above % strips, outer = above / strips;
    const int32_t row = static_cast<int32_t>(strip) * kStrip;
    const int32_t enlarged = row * Down - top, first = Up == 1 ? enlarged : (enlarged + 1) >> 1;
    const int64_t g_at = along == Along::channels ? static_cast<int64_t>(g) * V : 0;
    const T* from = x + static_cast<int64_t>(outer) * planes.in_h * planes.in_w * step() + g_at;
    T* to = y + (static_cast<int64_t>(outer) * planes.out_h * planes.out_w + column) * step() + g_at;
    if (Up == 1 || first * Up == enlarged) return walk<0>(column, row, first, from, to);
    walk<Up - 1>(column, row, first, from, to);
  }

  // From column to column.
  DSB_HD int64_t step() const { return along == Along::channels ? static_cast<int64_t>(planes.inner) * V : 1; }

  // kSkip: the tap that the first input row meets.
  template <int kSkip>
  DSB_HD void walk(int32_t column, int32_t row, int32_t first, const T* from, T* to) const {
    constexpr int kRows = (kStripTaps - 1 - kSkip + (kStrip - 1) * Down) / Up + 1;
    float sums[kStrip][V];
    DSB_UNROLL
    for (int j = 0; j < kRows; ++j) {
      float filtered[V] = {};
      const int32_t at = first + j;
      if (at >= 0 && at < planes.in_h) {
        const T* line = from + static_cast<int64_t>(at) * planes.in_w * step();
        if constexpr (along == Along::channels)
          filter_channels(line, column, filtered);
        else
          filter_columns(line, column, filtered);
      }
      DSB_UNROLL
      for (int r = 0; r < kStrip; ++r) {
        const int tap = kSkip + j * Up - r * Down;
        if (tap < 0 || tap >= kStripTaps) continue;
        DSB_UNROLL
        for (int e = 0; e < V; ++e)
          sums[r][e] = tap < Up ? taps_y[tap] * filtered[e] : sums[r][e] + taps_y[tap] * filtered[e];
        if (tap + Up < kStripTaps || row + r >= planes.out_h) continue;
        DSB_UNROLL
        for (int e = 0; e < V; ++e) sums[r][e] *= gain;
        store<T>(sums[r], to + static_cast<int64_t>(row + r) * planes.out_w * step());
      }
    }
  }

  // One column of V channels.
  DSB_HD void filter_channels(const T* line, int32_t column, float (&out)[V]) const {
    const int32_t enlarged = column * Down - left, first = Up == 1 ? enlarged : (enlarged + 1) >> 1;
    const bool odd = first * Up != enlarged;
    DSB_UNROLL
    for (int t = 0; t < kStripTaps / Up; ++t) {
      const int32_t at = first + t;
      if (at < 0 || at >= planes.in_w) continue;
      float v[V];
      load<V>(line + at * step(), v);
      const float tap = odd ? taps_x[t * Up + Up - 1] : taps_x[t * Up];
      DSB_UNROLL
      for (int e = 0; e < V; ++e) out[e] += tap * v[e];
    }
  }

  // Two columns of one channel, from aligned pairs of values where the input has a pair for one of the result.
  DSB_HD void filter_columns(const T* line, int32_t column, float (&out)[V]) const {
    const int32_t enlarged = column * Down - left;
    const bool odd = enlarged & 1;
    if constexpr (Up == 1) {
      constexpr int kPairs = (kStripTaps + Down + 2) / 2;
      float window[2 * kPairs] = {};
      DSB_UNROLL
      for (int pair = 0; pair < kPairs; ++pair) {
        const int32_t at = enlarged - odd + 2 * pair;
        float v[2] = {};
        if (at >= 0 && at < planes.in_w) load<2>(line + at, v);
        window[2 * pair] = v[0], window[2 * pair + 1] = v[1];
      }
      DSB_UNROLL
      for (int t = 0; t < kStripTaps; ++t) {
        out[0] += taps_x[t] * (odd ? window[t + 1] : window[t]);
        out[1] += taps_x[t] * (odd ? window[t + Down + 1] : window[t + Down]);
      }
    } else {  // enlarged is as odd as left: the same for all threads
      const int32_t first = (enlarged + 1) >> 1;
      float window[3] = {};
      DSB_UNROLL
      for (int t = 0; t < 3; ++t) {
        float v[1] = {};
        if (first + t >= 0 && first + t < planes.in_w) load<1>(line + first + t, v);
        window[t] = v[0];
      }
      DSB_UNROLL
      for (int t = 0; t < 2; ++t) {
        out[0] += (odd ? taps_x[2 * t + 1] : taps_x[2 * t]) * window[t];
        out[1] += (odd ? taps_x[2 * t] : taps_x[2 * t + 1]) * (odd ? window[t] : window[t + 1]);
      }
    }
  }
};

// Any filter, a result a thread. Index: inner vector, column, row, outer.
template <class T, int V>
struct DirectBody {
  Planes planes;
  const T* x;
  T* y;
  FilterPlan plan;

  DSB_HD void operator()(uint32_t k) const {
    const uint32_t g = k % planes.inner, rest = k / planes.inner;
    const int32_t column = static_cast<int32_t>(rest % static_cast<uint32_t>(planes.out_w));
    const uint32_t above = rest / static_cast<uint32_t>(planes.out_w);
    const int32_t row = static_cast<int32_t>(above % static_cast<uint32_t>(planes.out_h));
    const int64_t outer = above / static_cast<uint32_t>(planes.out_h), step = static_cast<int64_t>(planes.inner) * V;
    const T* from = x + outer * planes.in_h * planes.in_w * step + static_cast<int64_t>(g) * V;
    int32_t tap_y, in_y, tap_x, in_x;
    meet(row, plan.down_y, plan.top, plan.up_y, &tap_y, &in_y);
    meet(column, plan.down_x, plan.left, plan.up_x, &tap_x, &in_x);
    float sums[V] = {};
    for (; tap_y < plan.taps_y; tap_y += plan.up_y, ++in_y) {
      if (in_y < 0 || in_y >= planes.in_h) continue;
      const T* line = from + static_cast<int64_t>(in_y) * planes.in_w * step;
      float along[V] = {};
      const float* taps = plan.separable ? plan.taps : plan.taps + tap_y * plan.taps_x;
      for (int32_t tap = tap_x, at = in_x; tap < plan.taps_x; tap += plan.up_x, ++at) {
        if (at < 0 || at >= planes.in_w) continue;
        float v[V];
        load<V>(line + at * step, v);
        DSB_UNROLL
        for (int e = 0; e < V; ++e) along[e] += taps[tap] * v[e];
      }
      const float weight = plan.separable ? plan.taps[plan.taps_x + tap_y] : 1.0f;
      DSB_UNROLL
      for (int e = 0; e < V; ++e) sums[e] += weight * along[e];
    }
    DSB_UNROLL
    for (int e = 0; e < V; ++e) sums[e] *= plan.gain;
    store<T>(sums, y + ((outer * planes.out_h + row) * planes.out_w + column) * step + static_cast<int64_t>(g) * V);
  }
};

template <class T, int V, int Up, int Down, Along along>
void run_strips(const Image& in, const FilterPlan& plan, const void* x, Stream stream, void* y) {
  StripBody<T, V, Up, Down, along> body = {};
  body.planes = planes_of(in, plan, along == Along::channels ? V : 1);
  body.strips = static_cast<uint32_t>((plan.height + kStrip - 1) / kStrip);
  body.top = plan.top, body.left = plan.left, body.gain = plan.gain;
  for (int k = 0; k < kStripTaps; ++k) body.taps_x[k] = plan.taps[k], body.taps_y[k] = plan.taps[kStripTaps + k];
  body.x = static_cast<const T*>(x), body.y = static_cast<T*>(y);
  const uint64_t columns = static_cast<uint64_t>(plan.width / (along == Along::pixels ? V : 1));
  for_each(outers(in) * body.strips * columns * body.planes.inner, body, stream);
}

bool goes_by_strips(const FilterPlan& plan) {
  return plan.separable && plan.taps_x == kStripTaps && plan.taps_y == kStripTaps && plan.up_x == plan.up_y &&
         plan.down_x == plan.down_y && plan.up_x * plan.down_x <= 2;
}

template <class T, int V, Along along>
void choose_strips(const Image& in, const FilterPlan& plan, const void* x, Stream stream, void* y) {
  if (plan.up_x == 2) return run_strips<T, V, 2, 1, along>(in, plan, x, stream, y);
  if (plan.down_x == 2) return run_strips<T, V, 1, 2, along>(in, plan, x, stream, y);
  run_strips<T, V, 1, 1, along>(in, plan, x, stream, y);
}

template <class T, int V>
void run_direct(const Image& in, const FilterPlan& plan, const void* x, Stream stream, void* y) {
  const Planes planes = planes_of(in, plan, V);
  const DirectBody<T, V> body = {planes, static_cast<const T*>(x), static_cast<T*>(y), plan};
  for_each(outers(in) * static_cast<uint64_t>(plan.height * plan.width) * planes.inner, body, stream);
}

template <class T>
void run(const Image& in, Type type, const FilterPlan& plan, const void* x, Stream stream, void* y) {
  constexpr int V = kWide<T>;
  const bool aligned = is_wide(x) && is_wide(y), wide = aligned && !in.channels_first && in.c % V == 0;
  const bool pairs = aligned && in.w % 2 == 0 && plan.width % 2 == 0 && (in.channels_first || in.c == 1);
  if (goes_by_strips(plan)) {
    if (wide) return choose_strips<T, V, Along::channels>(in, plan, x, stream, y);
    if (pairs) return choose_strips<T, 2, Along::pixels>(in, plan, x, stream, y);
    return choose_strips<T, 1, Along::channels>(in, plan, x, stream, y);
  }
  if (upfirdn2d_tiles(in, plan, type, wide, x, stream, y)) return;
  if (wide) return run_direct<T, V>(in, plan, x, stream, y);
  run_direct<T, 1>(in, plan, x, stream, y);
}

}  // namespace

void upfirdn2d(const Image& in, Type type, const void* x, const FilterSteps& steps, Stream stream, void* y) {
  const FilterPlan plan = plan_filter(in, steps);
  if (in.n * in.c == 0) return;
  with_type(type, [&](auto value) { run<decltype(value)>(in, type, plan, x, stream, y); });
}

}  // namespace cuda
}  // namespace dsb
