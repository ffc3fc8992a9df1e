#include "ops/modulated_conv2d.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "core/float_environment.h"
#include "ops/conv_bf16.h"
#include "ops/dispatch.h"

namespace dsb {
namespace {

int64_t floor_half(int64_t value) { return value >= 0 ? value / 2 : -((1 - value) / 2); }

struct Plan {
  FilterSteps before, after;
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
    plan.before = filter_steps(conv.filters, up);
  } else if (up.left || up.right || up.top || up.bottom) {
    plan.before = filter_steps({}, up);
  }
  if (conv.down > 1) {
    Resampling down;
    down.down_x = down.down_y = conv.down;
    plan.after = filter_steps(conv.filters, down);
  }
  plan.enlarged = upfirdn2d_shape({1, x.c, x.h, x.w}, plan.before);
  plan.convolved = {1, conv.weight.n, plan.enlarged.h - conv.weight.h + 1, plan.enlarged.w - conv.weight.w + 1};
  if (plan.convolved.h < 1 || plan.convolved.w < 1)
    throw std::invalid_argument("modulated_conv2d: x is " + text(x) + ", too small for a weight of " +
                                text(conv.weight) + " with this padding");
  plan.result = upfirdn2d_shape(plan.convolved, plan.after);
  return plan;
}

std::vector<float> resampled(std::vector<float> x, const Shape4& shape, const FilterSteps& steps,
                             const Threads& threads) {
  if (steps.empty()) return x;
  std::vector<float> out(static_cast<size_t>(upfirdn2d_shape(shape, steps).size()));
  upfirdn2d(x.data(), shape, steps, threads, out.data());
  return out;
}

float demodulation(const double* energies, const float* styles, int64_t channels) {
  double sum = 0.0;
  for (int64_t c = 0; c < channels; ++c) sum += static_cast<double>(styles[c]) * styles[c] * energies[c];
  return static_cast<float>(1.0 / std::sqrt(sum + 1e-8));
}

// The styles with conv's offset in `storage`, or as they are where there is none.
const float* offset_styles(const float* styles, int64_t count, const ModulatedConv& conv, std::vector<float>& storage) {
  if (conv.style_offset == 0.0f) return styles;
  const FloatEnvironment environment;
  storage.resize(static_cast<size_t>(count));
  for (int64_t e = 0; e < count; ++e) storage[static_cast<size_t>(e)] = styles[e] + conv.style_offset;
  return storage.data();
}

// Sample n, of which x and styles are given. With `pairs`, packed weights, the sums are made in bfloat16; `weight` is
// not used then.
void convolve_sample(const float* x, const Shape4& shape, const float* weight, const std::vector<bfloat16_pair>* pairs,
                     const float* styles, int64_t n, const double* energies, const ModulatedConv& conv,
                     const Plan& plan, const Threads& threads, float* out) {
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
  if (pairs)
    conv2d_bf16(plane, scaled.data(), *pairs, conv.weight.n, threads, sums.data());
  else
    parallel_for(static_cast<uint64_t>(conv.weight.n), threads,
                 [&](uint64_t o) { k.conv2d(plane, scaled.data(), weight + o * filter, sums.data() + o * convolved); });
  sums = resampled(std::move(sums), plan.convolved, plan.after, threads);

  const size_t result = static_cast<size_t>(plan.result.h * plan.result.w);
  const float* noise =
      conv.noise ? conv.noise + (conv.noise_per_sample ? n * plan.result.h * plan.result.w : 0) : nullptr;
  std::vector<float> addend(noise && conv.noise_gain ? result : 0);
  for (int64_t o = 0; o < conv.weight.n; ++o) {
    const float factor = conv.demodulate ? demodulation(energies + o * channels, styles, channels) : 1.0f;
    if (!addend.empty()) k.scale_add(noise, result, conv.noise_gain[o], nullptr, addend.data());
    k.scale_add(&sums[o * result], result, factor, addend.empty() ? noise : addend.data(), out + o * result);
  }
  bias_act(out, 1, conv.weight.n, static_cast<int64_t>(result), conv.bias, conv.activation, threads, out);
  if (conv.residual)
    k.scale_add(out, result * static_cast<size_t>(conv.weight.n), 1.0f, conv.residual + n * plan.result.size(), out);
}

}  // namespace

Shape4 modulated_conv2d_shape(const Shape4& x, const ModulatedConv& conv) {
  Shape4 shape = make_plan(x, conv).result;
  shape.n = x.n;
  return shape;
}

int64_t modulated_conv2d_largest(const Shape4& x, const ModulatedConv& conv) {
  const Plan plan = make_plan(x, conv);
  Shape4 convolved = plan.convolved;
  convolved.n = x.n;
  return std::max({largest_size(x, plan.before), saturated_size(convolved), largest_size(convolved, plan.after)});
}

std::vector<double> filter_energies(const float* weight, const Shape4& shape) {
  const FloatEnvironment environment;
  std::vector<double> energies(static_cast<size_t>(shape.n * shape.c));
  const int64_t taps = shape.h * shape.w;
  for (size_t e = 0; e < energies.size(); ++e)
    for (int64_t tap = 0; tap < taps; ++tap) {
      const double w = weight[static_cast<int64_t>(e) * taps + tap];
      energies[e] += w * w;
    }
  return energies;
}

void modulated_conv2d(const float* x, const Shape4& shape, const float* weight, const float* styles,
                      const ModulatedConv& conv, const Threads& threads, float* out) {
  const Plan plan = make_plan(shape, conv);
  std::vector<float> storage;
  styles = offset_styles(styles, (conv.styles_per_sample ? shape.n : 1) * shape.c, conv, storage);
  std::vector<double> made;
  if (conv.demodulate && !conv.energies) made = filter_energies(weight, conv.weight);
  const double* energies = conv.energies ? conv.energies : made.data();
  const bool across = shape.n >= static_cast<int64_t>(threads.count());  // a sample a thread, or all on each sample
  const int64_t x_step = conv.x_per_sample ? shape.c * shape.h * shape.w : 0;
  const int64_t style_step = conv.styles_per_sample ? shape.c : 0;
  parallel_for(static_cast<uint64_t>(shape.n), across ? threads : Threads(1), [&](uint64_t n) {
    convolve_sample(x + n * x_step, shape, weight, nullptr, styles + n * style_step, static_cast<int64_t>(n), energies,
                    conv, plan, across ? Threads(1) : threads, out + n * plan.result.size());
  });
}

void modulated_conv2d(const bfloat16* x, const Shape4& shape, const bfloat16* weight, const float* styles,
                      const ModulatedConv& conv, const Threads& threads, bfloat16* out) {
  const Plan plan = make_plan(shape, conv);
  std::vector<float> storage;
  styles = offset_styles(styles, (conv.styles_per_sample ? shape.n : 1) * shape.c, conv, storage);
  const Kernels& k = kernels();
  const std::vector<bfloat16_pair> pairs = packed_pairs(weight, conv.weight);
  std::vector<double> made;
  if (conv.demodulate && !conv.energies) {
    std::vector<float> wide(static_cast<size_t>(conv.weight.size()));
    k.widen_bf16(weight, wide.size(), wide.data());
    made = filter_energies(wide.data(), conv.weight);
  }
  const double* energies = conv.energies ? conv.energies : made.data();
  const bool across = shape.n >= static_cast<int64_t>(threads.count());
  const int64_t x_step = conv.x_per_sample ? shape.c * shape.h * shape.w : 0;
  const int64_t style_step = conv.styles_per_sample ? shape.c : 0;
  parallel_for(static_cast<uint64_t>(shape.n), across ? threads : Threads(1), [&](uint64_t n) {
    std::vector<float> in(static_cast<size_t>(shape.c * shape.h * shape.w));
    std::vector<float> result(static_cast<size_t>(plan.result.size()));
    k.widen_bf16(x + n * x_step, in.size(), in.data());
    convolve_sample(in.data(), shape, nullptr, &pairs, styles + n * style_step, static_cast<int64_t>(n), energies, conv,
                    plan, across ? Threads(1) : threads, result.data());
    k.round_bf16(result.data(), result.size(), out + n * result.size());
  });
}

}  // namespace dsb
