#include "ops/upfirdn2d.h"

#include <algorithm>
#include <iterator>

#include "ops/dispatch.h"
#include "ops/thread_memory.h"
#include "ops/work.h"

namespace dsb {
namespace {

// Results above this are in no cache when somebody reads them: they are written around it.
constexpr int64_t kCacheBytes = 24 << 20;

constexpr int64_t kApart = 16;  // rows a power of two apart would fall on the same lines of the cache

// Filters whose taps along the axes have a kernel of their own, in one pass.
struct Pass {
  AxisTaps taps;
  Resampling how;
};

std::optional<Pass> one_pass(const FilterSteps& steps) {
  Resampling how = steps[0].second;
  std::vector<Filter> filters = {steps[0].first};
  if (steps.size() == 2) {
    const Resampling& along_y = steps[1].second;
    if (how.up_y != 1 || how.down_y != 1 || how.top || how.bottom || how.gain != 1.0f || along_y.up_x != 1 ||
        along_y.down_x != 1 || along_y.left || along_y.right || along_y.flip_filter != how.flip_filter)
      return std::nullopt;
    how.up_y = along_y.up_y, how.down_y = along_y.down_y, how.top = along_y.top, how.bottom = along_y.bottom;
    how.gain = along_y.gain;
    filters.push_back(steps[1].first);
  }
  if (steps.size() > 2 || how.up_x != how.up_y || how.down_x != how.down_y || how.up_x * how.down_x > 2)
    return std::nullopt;
  const auto taps = axis_taps(filters);
  if (!taps) return std::nullopt;
  return Pass{*taps, how};
}

void filter_planes(const float* x, const Shape4& in, Pass pass, const Threads& threads, const Shape4& shape,
                   float* out) {
  const Resampling& how = pass.how;
  if (!how.flip_filter) {
    std::reverse(std::begin(pass.taps.x), std::end(pass.taps.x));
    std::reverse(std::begin(pass.taps.y), std::end(pass.taps.y));
  }
  const FilterPlane plane = {
      in.h, in.w, shape.h, shape.w, how.up_x, how.down_x, how.top, how.left, divide_up(shape.w, 32) * 32 + kApart};
  const bool past_cache = shape.size() * static_cast<int64_t>(sizeof(float)) > kCacheBytes;
  const int64_t planes = in.n * in.c, in_plane = in.h * in.w, out_plane = shape.h * shape.w;
  const int64_t group = items_per_task(kFilterTaps * (in_plane + out_plane));
  const Kernels& k = kernels();
  parallel_for(static_cast<uint64_t>(divide_up(planes, group)), threads, [&](uint64_t task) {
    float* memory = thread_memory(ThreadMemory::strip, (kFilterTaps + 2) * plane.row + kFilterStream + kChannelBlock);
    const int64_t first = static_cast<int64_t>(task) * group;
    k.filter_planes(plane, std::min(group, planes - first), x + first * in_plane, pass.taps.x, pass.taps.y, how.gain,
                    past_cache, memory, out + first * out_plane);
  });
}

}  // namespace

std::optional<AxisTaps> axis_taps(const std::vector<Filter>& filters) {
  AxisTaps taps;
  if (filters.size() == 2) {
    const Filter &row = filters[0], &column = filters[1];
    if (row.height != 1 || row.width != kFilterTaps || column.height != kFilterTaps || column.width != 1)
      return std::nullopt;
    std::copy_n(row.taps, kFilterTaps, taps.x), std::copy_n(column.taps, kFilterTaps, taps.y);
    return taps;
  }
  if (filters.size() != 1 || filters[0].height != kFilterTaps || filters[0].width != kFilterTaps) return std::nullopt;
  const float* full = filters[0].taps;
  const auto product = [&] {  // exact in float64
    for (int64_t e = 0; e < kFilterTaps * kFilterTaps; ++e)
      if (static_cast<double>(taps.y[e / kFilterTaps]) * taps.x[e % kFilterTaps] != full[e]) return false;
    return true;
  };
  for (int64_t e = 0; e < kFilterTaps * kFilterTaps; ++e) {  // a row of it, and the other rows' shares of that
    if (full[e] == 0.0f) continue;
    std::copy_n(full + e / kFilterTaps * kFilterTaps, kFilterTaps, taps.x);
    for (int64_t k = 0; k < kFilterTaps; ++k) taps.y[k] = full[k * kFilterTaps + e % kFilterTaps] / full[e];
    if (product()) return taps;
  }
  return std::nullopt;
}

void upfirdn2d(const float* x, const Shape4& in, const Filter& filter, const Resampling& how, const Threads& threads,
               float* out) {
  const Shape4 shape = upfirdn2d_shape(in, filter, how);
  if (const auto pass = one_pass({{filter, how}})) return filter_planes(x, in, *pass, threads, shape, out);
  std::vector<float> taps(filter.taps, filter.taps + filter.height * filter.width);
  if (!how.flip_filter) std::reverse(taps.begin(), taps.end());
  const UpfirdnPlane plane = {in.h,       in.w,       shape.h, shape.w,  how.up_y,      how.up_x,
                              how.down_y, how.down_x, how.top, how.left, filter.height, filter.width};
  const Kernels& k = kernels();
  parallel_for(static_cast<uint64_t>(in.n * in.c), threads, [&](uint64_t task) {
    k.upfirdn2d(plane, x + task * in.h * in.w, taps.data(), how.gain, out + task * shape.h * shape.w);
  });
}

void upfirdn2d(const float* x, Shape4 in, const FilterSteps& steps, const Threads& threads, float* out) {
  if (const auto pass = one_pass(steps)) return filter_planes(x, in, *pass, threads, upfirdn2d_shape(in, steps), out);
  std::vector<float> held;
  for (size_t k = 0; k < steps.size(); ++k) {
    const auto& [filter, how] = steps[k];
    const Shape4 next = upfirdn2d_shape(in, filter, how);
    if (k + 1 == steps.size()) return upfirdn2d(x, in, filter, how, threads, out);
    std::vector<float> made(static_cast<size_t>(next.size()));
    upfirdn2d(x, in, filter, how, threads, made.data());
    held = std::move(made);
    x = held.data();
    in = next;
  }
}

}  // namespace dsb
