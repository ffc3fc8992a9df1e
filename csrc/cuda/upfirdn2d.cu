// upfirdn2d on [outer, height, width, inner], which both layouts are: a warp's threads stand side by side along the
// inner axis, then along the row, so that they read and write neighbouring memory.
//
// Four taps an axis at the same, twice or half the size, which is what StyleGAN2 has, go by strips: a thread holds a
// column of eight results, walks down the rows that they need and filters each along x once, from registers. Every
// value is read from memory once and from the first cache four times.
#include "cuda/filter_plan.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/storage.h"

namespace dsb {
namespace cuda {
namespace {

struct Planes {
  uint32_t inner;  // vectors
  int32_t in_h, in_w, out_h, out_w;
};

constexpr int kStrip = 8, kStripTaps = 4;

// Index: inner vector, column of the result, strip, outer.
template <class T, int V, int Up, int Down>
struct StripBody {
  Planes planes;
  uint32_t strips;
  int32_t top, left;
  float taps_x[kStripTaps], taps_y[kStripTaps];
  float gain;
  const T* x;
  T* y;

  DSB_HD void operator()(uint32_t k) const {
    const uint32_t g = k % planes.inner, rest = k / planes.inner;
    const int32_t column = static_cast<int32_t>(rest % static_cast<uint32_t>(planes.out_w));
    const uint32_t above = rest / static_cast<uint32_t>(planes.out_w), strip = above % strips, outer = above / strips;
    const int32_t row = static_cast<int32_t>(strip) * kStrip;
    const int32_t enlarged = row * Down - top, first = Up == 1 ? enlarged : (enlarged + 1) >> 1;
    const T* from = x + static_cast<int64_t>(outer) * planes.in_h * planes.in_w * step() + static_cast<int64_t>(g) * V;
    T* to =
        y + (static_cast<int64_t>(outer) * planes.out_h * planes.out_w + column) * step() + static_cast<int64_t>(g) * V;
    if (Up == 1 || first * Up == enlarged) return walk<0>(column, row, first, from, to);
    walk<Up - 1>(column, row, first, from, to);
  }

  DSB_HD int64_t step() const { return static_cast<int64_t>(planes.inner) * V; }  // from column to column

  // kSkip: the tap that the first input row meets.
  template <int kSkip>
  DSB_HD void walk(int32_t column, int32_t row, int32_t first, const T* from, T* to) const {
    constexpr int kRows = (kStripTaps - 1 - kSkip + (kStrip - 1) * Down) / Up + 1;
    const int32_t enlarged = column * Down - left, left_most = Up == 1 ? enlarged : (enlarged + 1) >> 1;
    const bool odd = Up == 2 && left_most * Up != enlarged;
    float sums[kStrip][V];
    DSB_UNROLL
    for (int j = 0; j < kRows; ++j) {
      float along[V];
      filter_row(from, first + j, left_most, odd, along);
      DSB_UNROLL
      for (int r = 0; r < kStrip; ++r) {
        const int tap = kSkip + j * Up - r * Down;
        if (tap < 0 || tap >= kStripTaps) continue;
        DSB_UNROLL
        for (int e = 0; e < V; ++e)
          sums[r][e] = tap < Up ? taps_y[tap] * along[e] : sums[r][e] + taps_y[tap] * along[e];
        if (tap + Up < kStripTaps || row + r >= planes.out_h) continue;
        DSB_UNROLL
        for (int e = 0; e < V; ++e) sums[r][e] *= gain;
        store<T>(sums[r], to + static_cast<int64_t>(row + r) * planes.out_w * step());
      }
    }
  }

  DSB_HD void filter_row(const T* from, int32_t row, int32_t left_most, bool odd, float (&out)[V]) const {
    DSB_UNROLL
    for (int e = 0; e < V; ++e) out[e] = 0.0f;
    if (row < 0 || row >= planes.in_h) return;
    const T* line = from + static_cast<int64_t>(row) * planes.in_w * step();
    DSB_UNROLL
    for (int t = 0; t < kStripTaps / Up; ++t) {
      const int32_t column = left_most + t;
      if (column < 0 || column >= planes.in_w) continue;
      float v[V];
      load<V>(line + column * step(), v);
      const float tap = Up == 1 || !odd ? taps_x[t * Up] : taps_x[t * Up + Up - 1];
      DSB_UNROLL
      for (int e = 0; e < V; ++e) out[e] += tap * v[e];
    }
  }
};

// The first tap that meets a value and that value's position, for the result at `at`.
DSB_HD void meet(int32_t at, int32_t down, int32_t before, int32_t up, int32_t* tap, int32_t* position) {
  const int32_t enlarged = at * down - before;
  int32_t over = enlarged % up;
  if (over < 0) over += up;
  *tap = over ? up - over : 0;
  *position = (enlarged + *tap) / up;
}

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

Planes planes_of(const Image& in, const FilterPlan& plan, int v) {
  return {static_cast<uint32_t>(in.channels_first ? 1 : in.c / v), static_cast<int32_t>(in.h),
          static_cast<int32_t>(in.w), static_cast<int32_t>(plan.height), static_cast<int32_t>(plan.width)};
}

// Images with their channels, or planes.
uint64_t outers(const Image& in) { return static_cast<uint64_t>(in.channels_first ? in.n * in.c : in.n); }

template <class T, int V, int Up, int Down>
void run_strips(const Image& in, const FilterPlan& plan, const void* x, Stream stream, void* y) {
  StripBody<T, V, Up, Down> body = {};
  body.planes = planes_of(in, plan, V);
  body.strips = static_cast<uint32_t>((plan.height + kStrip - 1) / kStrip);
  body.top = plan.top, body.left = plan.left, body.gain = plan.gain;
  for (int k = 0; k < kStripTaps; ++k) body.taps_x[k] = plan.taps[k], body.taps_y[k] = plan.taps[kStripTaps + k];
  body.x = static_cast<const T*>(x), body.y = static_cast<T*>(y);
  for_each(outers(in) * body.strips * static_cast<uint64_t>(plan.width) * body.planes.inner, body, stream);
}

template <class T, int V>
void run(const Image& in, const FilterPlan& plan, const void* x, Stream stream, void* y) {
  const bool strips = plan.separable && plan.taps_x == kStripTaps && plan.taps_y == kStripTaps &&
                      plan.up_x == plan.up_y && plan.down_x == plan.down_y && plan.up_x * plan.down_x <= 2;
  if (strips && plan.up_x == 2) return run_strips<T, V, 2, 1>(in, plan, x, stream, y);
  if (strips && plan.down_x == 2) return run_strips<T, V, 1, 2>(in, plan, x, stream, y);
  if (strips) return run_strips<T, V, 1, 1>(in, plan, x, stream, y);
  const Planes planes = planes_of(in, plan, V);
  const DirectBody<T, V> body = {planes, static_cast<const T*>(x), static_cast<T*>(y), plan};
  for_each(outers(in) * static_cast<uint64_t>(plan.height * plan.width) * planes.inner, body, stream);
}

}  // namespace

void upfirdn2d(const Image& in, Type type, const void* x, const FilterSteps& steps, Stream stream, void* y) {
  const FilterPlan plan = plan_filter(in, steps);
  if (in.n * in.c == 0) return;
  with_type(type, [&](auto value) {
    using T = decltype(value);
    constexpr int V = kWide<T>;
    if (!in.channels_first && in.c % V == 0 && is_wide(x) && is_wide(y)) return run<T, V>(in, plan, x, stream, y);
    run<T, 1>(in, plan, x, stream, y);
  });
}

}  // namespace cuda
}  // namespace dsb
