#include "ops/modulated_conv2d.h"

#include <cmath>
#include <stdexcept>
#include <utility>

#include "core/threads.h"
#include "ops/dispatch.h"

namespace dsb {
namespace {

const float kOne = 1.0f;

int64_t floor_half(int64_t value) { return value >= 0 ? value / 2 : -((1 - value) / 2); }

// upfirdn2d calls that are made one after the other: none, one, or two for a separable filter.
using Steps = std::vector<std::pair<Filter, Resampling>>;

Shape4 shape_after(Shape4 shape, const Steps& steps) {
  for (const auto& step : steps) shape = upfirdn2d_shape(shape, step.first, step.second);
  return shape;
}

// A separable filter's resampling: rows first, columns second, the gain once.
Steps separated(const std::vector<Filter>& filters, const Resampling& how) {
  if (filters.empty()) return {{{&kOne, 1, 1}, how}};
  if (filters.size() == 1) return {{filters[0], how}};
  Resampling row = how, column = how;
  row.up_y = row.down_y = column.up_x = column.down_x = 1;
  row.top = row.bottom = column.left = column.right = 0;
  row.gain = 1.0f;
  return {{filters[0], row}, {filters[1], column}};
}

struct Plan {
  Steps before, after;
  Shape4 enlarged, convolved, result;  // of one sample
};

Plan make_plan(const Shape4& x, const ModulatedConv& conv) {
  if (conv.weight.c != x.c)
    throw std::invalid_argument("modulated_conv2d: x is " + text(x) + " and weight " + text(conv.weight) +
                                "; their input channels differ");
  if (conv.up < 1 || conv.down < 1) throw std::invalid_argument("modulated_conv2d: up and down must be at least 1");
  int64_t taps_x = 1, taps_y = 1;
  for (const Filter& filter : conv.filters) {
    taps_x += filter.width - 1;
    taps_y += filter.height - 1;
  }
  Resampling up;
  up.left = conv.left, up.right = conv.right, up.top = conv.top, up.bottom = conv.bottom;
  if (conv.up > 1) {
    up.left += floor_half(taps_x + conv.up - 1), up.right += floor_half(taps_x - conv.up);
    up.top += floor_half(taps_y + conv.up - 1), up.bottom += floor_half(taps_y - conv.up);
  }
  if (conv.down > 1) {
    up.left += floor_half(taps_x - conv.down + 1), up.right += floor_half(taps_x - conv.down);
    up.top += floor_half(taps_y - conv.down + 1), up.bottom += floor_half(taps_y - conv.down);
  }
  Plan plan;
  if (conv.up > 1) {
    up.up_x = up.up_y = conv.up;
    up.gain = static_cast<float>(conv.up * conv.up);
    plan.before = separated(conv.filters, up);
  } else if (up.left || up.right || up.top || up.bottom) {
    plan.before = separated({}, up);
  }
  if (conv.down > 1) {
    Resampling down;
    down.down_x = down.down_y = conv.down;
    plan.after = separated(conv.filters, down);
  }
  plan.enlarged = shape_after({1, x.c, x.h, x.w}, plan.before);
  plan.convolved = {1, conv.weight.n, plan.enlarged.h - conv.weight.h + 1, plan.enlarged.w - conv.weight.w + 1};
  if (plan.convolved.h < 1 || plan.convolved.w < 1)
    throw std::invalid_argument("modulated_conv2d: x is " + text(x) + ", too small for a weight of " +
                                text(conv.weight) + " with this padding");
  plan.result = shape_after(plan.convolved, plan.after);
  return plan;
}

std::vector<float> resampled(std::vector<float> x, Shape4 shape, const Steps& steps, unsigned threads) {
  for (const auto& step : steps) {
    const Shape4 next = upfirdn2d_shape(shape, step.first, step.second);
    std::vector<float> out(static_cast<size_t>(next.size()));
    upfirdn2d(x.data(), shape, step.first, step.second, threads, out.data());
    x = std::move(out);
    shape = next;
  }
  return x;
}

// Sums of squares of every filter, per input channel, in float64 and in the order of the weights.
std::vector<double> filter_energies(const float* weight, const Shape4& shape) {
  std::vector<double> energies(static_cast<size_t>(shape.n * shape.c));
  const int64_t taps = shape.h * shape.w;
  for (size_t e = 0; e < energies.size(); ++e)
    for (int64_t tap = 0; tap < taps; ++tap) {
      const double w = weight[static_cast<int64_t>(e) * taps + tap];
      energies[e] += w * w;
    }
  return energies;
}

float demodulation(const double* energies, const float* styles, int64_t channels) {
  double sum = 0.0;
  for (int64_t c = 0; c < channels; ++c) sum += static_cast<double>(styles[c]) * styles[c] * energies[c];
  return static_cast<float>(1.0 / std::sqrt(sum + 1e-8));
}

void convolve_sample(const float* x, const Shape4& shape, const float* weight, const float* styles, const float* noise,
                     const std::vector<double>& energies, const ModulatedConv& conv, const Plan& plan, unsigned threads,
                     float* out) {
  const Kernels& k = kernels();
  const int64_t in_plane = shape.h * shape.w, channels = conv.weight.c;
  std::vector<float> scaled(static_cast<size_t>(channels * in_plane));
  for (int64_t c = 0; c < channels; ++c)
    k.scale_add(x + c * in_plane, static_cast<size_t>(in_plane), styles[c], nullptr, scaled.data() + c * in_plane);
  scaled = resampled(std::move(scaled), {1, channels, shape.h, shape.w}, plan.before, threads);

  const ConvPlane plane = {channels,         plan.enlarged.h, plan.enlarged.w, plan.convolved.h,
                           plan.convolved.w, conv.weight.h,   conv.weight.w,   !conv.flip_weight};
  const int64_t filter = channels * conv.weight.h * conv.weight.w, convolved = plan.convolved.h * plan.convolved.w;
  std::vector<float> sums(static_cast<size_t>(plan.convolved.size()));
  parallel_for(static_cast<uint64_t>(conv.weight.n), threads,
               [&](uint64_t o) { k.conv2d(plane, scaled.data(), weight + o * filter, sums.data() + o * convolved); });
  sums = resampled(std::move(sums), plan.convolved, plan.after, threads);

  const size_t result = static_cast<size_t>(plan.result.h * plan.result.w);
  std::vector<float> addend(noise && conv.noise_gain ? result : 0);
  for (int64_t o = 0; o < conv.weight.n; ++o) {
    const float factor = conv.demodulate ? demodulation(&energies[o * channels], styles, channels) : 1.0f;
    if (!addend.empty()) k.scale_add(noise, result, conv.noise_gain[o], nullptr, addend.data());
    k.scale_add(&sums[o * result], result, factor, addend.empty() ? noise : addend.data(), out + o * result);
  }
  bias_act(out, 1, conv.weight.n, static_cast<int64_t>(result), conv.bias, conv.activation, threads, out);
}

}  // namespace

Shape4 modulated_conv2d_shape(const Shape4& x, const ModulatedConv& conv) {
  Shape4 shape = make_plan(x, conv).result;
  shape.n = x.n;
  return shape;
}

void modulated_conv2d(const float* x, const Shape4& shape, const float* weight, const float* styles,
                      const ModulatedConv& conv, unsigned threads, float* out) {
  const Plan plan = make_plan(shape, conv);
  std::vector<float> offset_styles;
  if (conv.style_offset != 0.0f) {
    for (int64_t e = 0; e < shape.n * shape.c; ++e) offset_styles.push_back(styles[e] + conv.style_offset);
    styles = offset_styles.data();
  }
  const std::vector<double> energies = conv.demodulate ? filter_energies(weight, conv.weight) : std::vector<double>();
  const unsigned all = threads == 0 ? hardware_threads() : threads;
  const bool across = shape.n >= static_cast<int64_t>(all);  // a sample a thread, or all threads on each sample
  const int64_t noise_step = conv.noise_per_sample ? plan.result.h * plan.result.w : 0;
  parallel_for(static_cast<uint64_t>(shape.n), across ? all : 1, [&](uint64_t n) {
    convolve_sample(x + n * shape.c * shape.h * shape.w, shape, weight, styles + n * shape.c,
                    conv.noise ? conv.noise + n * noise_step : nullptr, energies, conv, plan, across ? 1 : all,
                    out + n * plan.result.size());
  });
}

}  // namespace dsb
