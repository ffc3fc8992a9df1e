#include "cuda/filter_plan.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace dsb {
namespace cuda {
namespace {

constexpr int64_t kTakenApart = 8;  // taps an axis: the filters of StyleGAN2 that are products have fewer

struct Axes {
  std::vector<float> x, y;
};

// A filter as a row of it and the other rows' shares of that, if their products have its bits.
std::optional<Axes> axes_of(const Filter& filter) {
  const int64_t h = filter.height, w = filter.width;
  if (h == 1) return Axes{{filter.taps, filter.taps + w}, {1.0f}};
  if (w == 1) return Axes{{1.0f}, {filter.taps, filter.taps + h}};
  if (std::max(h, w) > kTakenApart) return std::nullopt;
  for (int64_t e = 0; e < h * w; ++e) {
    if (filter.taps[e] == 0.0f) continue;
    const float* row = filter.taps + e / w * w;
    Axes axes = {{row, row + w}, std::vector<float>(static_cast<size_t>(h))};
    for (int64_t k = 0; k < h; ++k) axes.y[static_cast<size_t>(k)] = filter.taps[k * w + e % w] / filter.taps[e];
    const auto same = [&](int64_t at) {  // exact in float64
      return static_cast<double>(axes.y[static_cast<size_t>(at / w)]) * axes.x[static_cast<size_t>(at % w)] ==
             filter.taps[at];
    };
    int64_t at = 0;
    while (at < h * w && same(at)) ++at;
    if (at == h * w) return axes;
  }
  return std::nullopt;
}

// Row and column as filter_steps makes them of a separable filter, or one filter.
std::optional<Axes> axes_of(const FilterSteps& steps) {
  if (steps.size() == 1) return axes_of(steps[0].first);
  const Filter &row = steps[0].first, &column = steps[1].first;
  return Axes{{row.taps, row.taps + row.width}, {column.taps, column.taps + column.height}};
}

}  // namespace

FilterPlan plan_filter(const Image& in, const FilterSteps& steps) {
  const Shape4 shape = upfirdn2d_shape({in.n, in.c, in.h, in.w}, steps);
  const Resampling &x = steps.front().second, &y = steps.back().second;
  FilterPlan plan = {};
  plan.height = shape.h, plan.width = shape.w;
  plan.up_x = static_cast<int32_t>(x.up_x), plan.down_x = static_cast<int32_t>(x.down_x);
  plan.up_y = static_cast<int32_t>(y.up_y), plan.down_y = static_cast<int32_t>(y.down_y);
  plan.left = static_cast<int32_t>(x.left), plan.top = static_cast<int32_t>(y.top);
  plan.gain = y.gain;
  const auto axes = axes_of(steps);
  plan.separable = axes.has_value();
  const Filter& full = steps.front().first;
  const size_t wide = axes ? axes->x.size() : static_cast<size_t>(full.width);
  const size_t high = axes ? axes->y.size() : static_cast<size_t>(full.height);
  const size_t count = axes ? wide + high : wide * high;
  if (count > static_cast<size_t>(kMaxTaps))
    throw std::invalid_argument("upfirdn2d: the filter has " + std::to_string(count) + " taps, a GPU takes " +
                                std::to_string(kMaxTaps) + "; a separable one has fewer");
  plan.taps_x = static_cast<int32_t>(wide), plan.taps_y = static_cast<int32_t>(high);
  float* rest = axes ? std::copy(axes->x.begin(), axes->x.end(), plan.taps) : plan.taps;
  float* end = axes ? std::copy(axes->y.begin(), axes->y.end(), rest) : std::copy_n(full.taps, count, rest);
  if (!x.flip_filter) std::reverse(plan.taps, rest), std::reverse(rest, end);
  return plan;
}

}  // namespace cuda
}  // namespace dsb
