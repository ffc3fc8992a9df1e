#include "ops/modulated_conv2d.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "core/float_environment.h"
#include "ops/conv_bf16.h"
#include "ops/dispatch.h"
#include "ops/image_layers.h"

namespace dsb {
namespace {

int64_t floor_half(int64_t value) { return value >= 0 ? value / 2 : -((1 - value) / 2); }

struct Plan {
  FilterSteps before, after;
  int64_t top = 0, left = 0;           // without enlargement: rows and columns added before, or cropped
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
  plan.top = up.top, plan.left = up.left;
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

// The styles with conv's offset in `storage`, or as they are where there is none.
const float* offset_styles(const float* styles, int64_t count, const ModulatedConv& conv, std::vector<float>& storage) {
  if (conv.style_offset == 0.0f) return styles;
  const FloatEnvironment environment;
  storage.resize(static_cast<size_t>(count));
  for (int64_t e = 0; e < count; ++e) storage[static_cast<size_t>(e)] = styles[e] + conv.style_offset;
  return storage.data();
}

// What follows the sums of a sample, all but the sums' own layer: noise, bias, activation, residual.
void finish(const float* sums, int64_t n, const float* factors, const ModulatedConv& conv, const Plan& plan,
            const Threads& threads, float* out) {
  const Kernels& k = kernels();
  const size_t result = static_cast<size_t>(plan.result.h * plan.result.w);
  const float* noise =
      conv.noise ? conv.noise + (conv.noise_per_sample ? n * plan.result.h * plan.result.w : 0) : nullptr;
  std::vector<float> addend(noise && conv.noise_gain ? result : 0);
  for (int64_t o = 0; o < conv.weight.n; ++o) {
    if (!addend.empty()) k.scale_add(noise, result, conv.noise_gain[o], nullptr, addend.data());
    k.scale_add(sums + static_cast<size_t>(o) * result, result, factors ? factors[o] : 1.0f,
                addend.empty() ? noise : addend.data(), out + static_cast<size_t>(o) * result);
  }
  bias_act(out, 1, conv.weight.n, static_cast<int64_t>(result), conv.bias, conv.activation, threads, out);
  if (conv.residual)
    k.scale_add(out, result * static_cast<size_t>(conv.weight.n), 1.0f, conv.residual + n * plan.result.size(), out);
}

// Sample n in bfloat16, of which x and styles are given.
void convolve_sample_bf16(const float* x, const Shape4& shape, const std::vector<bfloat16_pair>& pairs,
                          const float* styles, int64_t n, const float* factors, const ModulatedConv& conv,
                          const Plan& plan, const Threads& threads, float* out) {
  const Kernels& k = kernels();
  const int64_t in_plane = shape.h * shape.w, channels = conv.weight.c;
  std::vector<float> scaled(static_cast<size_t>(channels * in_plane));
  for (int64_t c = 0; c < channels; ++c)
    k.scale_add(x + c * in_plane, static_cast<size_t>(in_plane), styles[c], nullptr, scaled.data() + c * in_plane);
  scaled = resampled(std::move(scaled), {1, channels, shape.h, shape.w}, plan.before, threads);
  const ConvPlane plane = {channels,         plan.enlarged.h, plan.enlarged.w, plan.convolved.h,
                           plan.convolved.w, conv.weight.h,   conv.weight.w,   !conv.flip_weight};
  std::vector<float> sums(static_cast<size_t>(plan.convolved.size()));
  conv2d_bf16(plane, scaled.data(), pairs, conv.weight.n, threads, sums.data());
  sums = resampled(std::move(sums), plan.convolved, plan.after, threads);
  finish(sums.data(), n, factors, conv, plan, threads, out);
}

// Samples whose enlarged images and sums are in memory at once.
int64_t samples_together(const Plan& plan, int64_t samples) {
  constexpr int64_t kFloats = 4 << 20;
  const int64_t one = std::max<int64_t>(1, plan.enlarged.size() + plan.convolved.size());
  return std::max<int64_t>(1, std::min({samples, kFloats / one, int64_t{32}}));
}

// A layer with a filter before or after its sums, some samples at a time. `image` lacks what differs between those.
void convolve_resampled(const float* x, const Shape4& shape, const float* weight, const float* styles,
                        int64_t style_step, const std::vector<float>& factors, const ModulatedConv& conv,
                        const Plan& plan, ImageConv image, const ConvWeights& prepared, const Threads& threads,
                        float* out) {
  const Kernels& k = kernels();
  const int64_t in = shape.c * shape.h * shape.w, plane = shape.h * shape.w, together = samples_together(plan, shape.n);
  const int64_t x_step = conv.x_per_sample ? in : 0;
  for (int64_t first = 0; first < shape.n; first += together) {
    const int64_t samples = std::min(together, shape.n - first);
    std::vector<float> enlarged, sums(static_cast<size_t>(samples * plan.convolved.size()));
    image.samples = samples, image.out = sums.data();
    if (conv.up > 1) {
      enlarged.resize(static_cast<size_t>(samples * in));
      parallel_for(static_cast<uint64_t>(samples), threads, [&](uint64_t s) {
        const int64_t n = first + static_cast<int64_t>(s);
        for (int64_t c = 0; c < shape.c; ++c)
          k.scale_add(x + n * x_step + c * plane, static_cast<size_t>(plane), styles[n * style_step + c], nullptr,
                      enlarged.data() + static_cast<int64_t>(s) * in + c * plane);
      });
      enlarged = resampled(std::move(enlarged), {samples, shape.c, shape.h, shape.w}, plan.before, threads);
      image.x = enlarged.data(), image.x_step = plan.enlarged.size();
      image.height = plan.enlarged.h, image.width = plan.enlarged.w;
    } else {
      image.x = x + first * x_step, image.x_step = x_step;
      image.styles = styles + first * style_step;
    }
    image_conv(image, weight, prepared, threads);
    Shape4 convolved = plan.convolved;
    convolved.n = samples;
    sums = resampled(std::move(sums), convolved, plan.after, threads);
    const bool across = samples >= static_cast<int64_t>(threads.count());
    parallel_for(static_cast<uint64_t>(samples), across ? threads : Threads(1), [&](uint64_t s) {
      const int64_t n = first + static_cast<int64_t>(s);
      finish(sums.data() + static_cast<int64_t>(s) * plan.result.size(), n,
             factors.empty() ? nullptr : factors.data() + n * padded_channels(conv.weight.n), conv, plan,
             across ? Threads(1) : threads, out + n * plan.result.size());
    });
  }
}

// The filter's taps for the up-sampling layers of NVIDIA's and rosinality's networks: twice the size, 3 x 3 taps, four
// along each axis; with float32 products.
std::optional<AxisTaps> phase_taps(const ModulatedConv& conv) {
  if (conv.up != 2 || conv.down != 1 || conv.weight.h != 3 || conv.weight.w != 3 || conv.left != 1 || conv.right != 1 ||
      conv.top != 1 || conv.bottom != 1 || conv.bfloat16_products)
    return std::nullopt;
  auto taps = axis_taps(conv.filters);
  if (!taps) return std::nullopt;
  for (float* axis : {taps->x, taps->y}) {
    std::reverse(axis, axis + kFilterTaps);
    for (int64_t k = 0; k < kFilterTaps; ++k) axis[k] *= 2.0f;  // for the zeros along it
  }
  return taps;
}

// What a layer with a blocked image, or one of which only colours are wanted, has to be like.
void check_special(const Shape4& x, const ModulatedConv& conv) {
  const bool blocked = conv.blocked || conv.blocked_result;
  if (!blocked && !conv.colours.count) return;
  const Activation act = conv.activation.kind;
  const bool simple = act == Activation::linear || act == Activation::relu || act == Activation::lrelu;
  const bool padded = conv.left == 1 && conv.right == 1 && conv.top == 1 && conv.bottom == 1;
  if (conv.up != 1 || conv.down != 1 || conv.weight.h != 3 || conv.weight.w != 3 || !padded)
    throw std::invalid_argument(
        "modulated_conv2d: blocked images and colours need 3 x 3 taps, padding 1 and no "
        "resampling");
  if (blocked && (x.h % kBlockedSide || x.w % kBlockedSide || (conv.blocked && conv.enlarged)))
    throw std::invalid_argument("modulated_conv2d: x is " + text(x) +
                                ", as a blocked image it needs height and width " +
                                "that are multiples of 4, and is not enlarged");
  if ((conv.blocked_result || conv.colours.count) && (conv.residual || !simple))
    throw std::invalid_argument(
        "modulated_conv2d: a blocked result and colours need the activation linear, relu or "
        "lrelu and no residual");
  if (conv.colours.count < 0 || conv.colours.count > kMostColours ||
      (conv.colours.count && (conv.blocked_result || conv.weight.n > WinogradWeights::kBlock)))
    throw std::invalid_argument("modulated_conv2d: at most 4 colours are made, of at most 32 channels");
}

// The image that is convolved.
Shape4 source_shape(Shape4 x, const ModulatedConv& conv) {
  if (conv.enlarged) x.h *= 2, x.w *= 2;
  return x;
}

}  // namespace

Shape4 modulated_conv2d_shape(const Shape4& x, const ModulatedConv& conv) {
  const Shape4 source = source_shape(x, conv);
  Shape4 shape = make_plan(source, conv).result;
  check_special(source, conv);
  shape.n = x.n;
  return shape;
}

int64_t modulated_conv2d_largest(const Shape4& x, const ModulatedConv& conv) {
  const Shape4 source = source_shape(x, conv);
  const Plan plan = make_plan(source, conv);
  Shape4 convolved = plan.convolved;
  convolved.n = x.n;
  return std::max({saturated_size(source), largest_size(source, plan.before), saturated_size(convolved),
                   largest_size(convolved, plan.after)});
}

void modulated_conv2d(const float* x, const Shape4& shape, const float* weight, const float* styles,
                      const ModulatedConv& conv, const Threads& threads, float* out) {
  const Shape4 source = source_shape(shape, conv);
  const Plan plan = make_plan(source, conv);
  check_special(source, conv);
  if (conv.enlarged && (conv.up > 1 || conv.down > 1 || conv.weight.h != 3 || conv.weight.w != 3)) {
    ModulatedConv rest = conv;
    rest.enlarged = false;
    const Shape4 one = {conv.x_per_sample ? shape.n : std::min<int64_t>(1, shape.n), shape.c, shape.h, shape.w};
    std::vector<float> larger(static_cast<size_t>(4 * one.size()));
    upsample_bilinear2d(x, one, threads, larger.data());
    return modulated_conv2d(larger.data(), source, weight, styles, rest, threads, out);
  }
  std::vector<float> storage;
  styles = offset_styles(styles, (conv.styles_per_sample ? shape.n : 1) * shape.c, conv, storage);
  const ConvWeights made(conv.weight, !conv.flip_weight);
  const ConvWeights& prepared = conv.prepared ? *conv.prepared : made;
  const int64_t style_step = conv.styles_per_sample ? shape.c : 0;
  std::vector<float> factors;
  if (conv.demodulate)
    factors = demodulation_factors(prepared.energies(weight), conv.weight, styles, style_step, shape.n, threads);
  ImageConv image = {};
  image.samples = shape.n, image.channels = shape.c;
  image.weight = conv.weight, image.flip = !conv.flip_weight, image.bfloat16 = conv.bfloat16_products;
  image.out_height = plan.convolved.h, image.out_width = plan.convolved.w;
  image.epilogue.activation = {Activation::linear, 0.0f, 1.0f, -1.0f};
  const auto phases = phase_taps(conv);
  if (phases || conv.up == 1) {  // padding only, if anything
    image.x = x, image.x_step = shape.c * shape.h * shape.w;
    if (conv.blocked) image.x_step = padded_channels(shape.c) / kChannelBlock * blocked_plane(shape.h, shape.w);
    if (!conv.x_per_sample) image.x_step = 0;
    image.blocked = conv.blocked, image.blocked_out = conv.blocked_result, image.colours = conv.colours;
    image.styles = styles, image.style_step = style_step;
    image.height = shape.h, image.width = shape.w, image.enlarged = conv.enlarged;
    image.top = plan.top, image.left = plan.left;
  }
  if (phases || (conv.up == 1 && plan.after.empty())) {
    image.out = out;
    image.factors = factors.empty() ? nullptr : factors.data(), image.factor_step = padded_channels(conv.weight.n);
    image.noise_step = conv.noise_per_sample ? plan.result.h * plan.result.w : 0;
    image.epilogue = {nullptr, conv.noise, conv.noise_gain, conv.bias, conv.residual, conv.activation};
    if (!phases) return image_conv(image, weight, prepared, threads);
    return phase_conv(image, prepared.at_points(weight, 3, false, threads), phases->x, phases->y, threads);
  }
  convolve_resampled(x, shape, weight, styles, style_step, factors, conv, plan, image, prepared, threads, out);
}

void modulated_conv2d(const bfloat16* x, const Shape4& shape, const bfloat16* weight, const float* styles,
                      const ModulatedConv& conv, const Threads& threads, bfloat16* out) {
  if (conv.enlarged) throw std::invalid_argument("modulated_conv2d: only float32 images are enlarged");
  const Plan plan = make_plan(shape, conv);
  std::vector<float> storage;
  styles = offset_styles(styles, (conv.styles_per_sample ? shape.n : 1) * shape.c, conv, storage);
  const Kernels& k = kernels();
  const std::vector<bfloat16_pair> pairs = packed_pairs(weight, conv.weight);
  const int64_t x_step = conv.x_per_sample ? shape.c * shape.h * shape.w : 0;
  const int64_t style_step = conv.styles_per_sample ? shape.c : 0;
  std::vector<float> factors;
  if (conv.demodulate) {
    std::vector<float> wide(static_cast<size_t>(conv.weight.size()));
    k.widen_bf16(weight, wide.size(), wide.data());
    const ConvWeights made(conv.weight, !conv.flip_weight);
    factors = demodulation_factors(made.energies(wide.data()), conv.weight, styles, style_step, shape.n, threads);
  }
  const bool across = shape.n >= static_cast<int64_t>(threads.count());  // a sample a thread, or all on each sample
  parallel_for(static_cast<uint64_t>(shape.n), across ? threads : Threads(1), [&](uint64_t n) {
    std::vector<float> in(static_cast<size_t>(shape.c * shape.h * shape.w));
    std::vector<float> result(static_cast<size_t>(plan.result.size()));
    k.widen_bf16(x + n * x_step, in.size(), in.data());
    convolve_sample_bf16(in.data(), shape, pairs, styles + n * style_step, static_cast<int64_t>(n),
                         factors.empty() ? nullptr : factors.data() + n * padded_channels(conv.weight.n), conv, plan,
                         across ? Threads(1) : threads, result.data());
    k.round_bf16(result.data(), result.size(), out + n * result.size());
  });
}

}  // namespace dsb
