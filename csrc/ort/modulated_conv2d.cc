// ModulatedConv2d: the convolution of StyleGAN2 with resampling, noise, bias, activation, gain and clamp.
//
// Inputs: x [N, I, H, W]; weight [O, I, h, w], constant; styles [N, I]; and, each of which may be left out, noise [N,
// 1, H', W'] or [H', W'], bias [O], filter (of the resampling, as setup_filter makes it; constant), noise_gain [O]
// (multiplied into the noise), residual [N, O, H', W'] (added last). All samples share an x or styles of one.
// Attributes, all optional: up, down (1); padding [left, right, top, bottom] on the enlarged image (0); demodulate (1);
// flip_weight (1, a correlation); style_offset (0.0, added to the styles); act, alpha, gain, clamp as BiasAct;
// products, of 3 x 3 taps, "float32" (default) or "bfloat16"; upsample, "none" (default) or "bilinear": x is
// UpsampleBilinear2d of the input. Output: y [N, O, H', W'].
#include "ops/modulated_conv2d.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

class ModulatedConv2d {
 public:
  static constexpr const char* kName = "ModulatedConv2d";
  static constexpr Input kInputs[] = {{kFloat},
                                      {kFloat},
                                      {kFloat},
                                      {kFloat, INPUT_OUTPUT_OPTIONAL},
                                      {kFloat, INPUT_OUTPUT_OPTIONAL},
                                      {kFloat, INPUT_OUTPUT_OPTIONAL},
                                      {kFloat, INPUT_OUTPUT_OPTIONAL},
                                      {kFloat, INPUT_OUTPUT_OPTIONAL}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit ModulatedConv2d(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    conv_.up = attributes.integer("up", 1, kMaxFactor, 1);
    conv_.down = attributes.integer("down", 1, kMaxFactor, 1);
    const Dimensions padding = attributes.integers("padding", 4, -kMaxPadding, kMaxPadding, Dimensions{0, 0, 0, 0});
    conv_.left = padding[0], conv_.right = padding[1], conv_.top = padding[2], conv_.bottom = padding[3];
    conv_.demodulate = attributes.flag("demodulate", true);
    conv_.flip_weight = attributes.flag("flip_weight", true);
    conv_.style_offset = attributes.number("style_offset", 0.0f);
    conv_.activation = attributes.activation();
    const std::string upsample = attributes.text("upsample", "none");
    if (upsample != "none" && upsample != "bilinear")
      refuse("attribute upsample is \"" + upsample + "\"; it is \"none\" or \"bilinear\"");
    conv_.enlarged = upsample == "bilinear";
    conv_.bfloat16_products = attributes.bfloat16_products();

    const auto weight = constant_input(info, kName, 1, "weight");
    if (!weight) refuse("weight is missing");
    conv_.weight = image_shape(kName, "weight", weight->shape);
    if (conv_.weight.size() < 1) refuse("weight is " + text(weight->shape) + "; no size of it can be 0");
    prepared_ = std::make_unique<ConvWeights>(conv_.weight, !conv_.flip_weight);
    if (const auto taps = constant_input(info, kName, 5, "filter")) {
      conv_.filters = filters_of(kName, *taps);
      taps_.assign(taps->data, taps->data + conv_.filters.front().height * conv_.filters.front().width);
    }
    constant_ = all_constant(info);
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0), weight = input(context, 1), styles = input(context, 2);
    Shape4 in = image_shape(kName, "x", x.shape), given = in;
    ModulatedConv conv = conv_;
    for (Filter& filter : conv.filters) filter.taps = taps_.data();
    conv.prepared = prepared_.get();
    const int64_t samples = styles.shape.size() == 2 ? styles.shape[0] : in.n;
    if (samples == 1) {
      conv.styles_per_sample = false;
    } else if (in.n == 1) {
      conv.x_per_sample = false;
      in.n = samples;
      given = {samples ? 1 : 0, 1, 1, static_cast<int64_t>(x.count + styles.count)};
    }
    const Shape4 shape = modulated_conv2d_shape(in, conv);
    check_growth(kName, given, modulated_conv2d_largest(in, conv));
    if (styles.shape != Dimensions{samples, in.c} || (conv.styles_per_sample && samples != in.n))
      refuse("styles is " + text(styles.shape) + ", x is " + text(x.shape) + " and needs " +
             text(Dimensions{in.n, in.c}));
    const Dimensions made = {shape.n, shape.c, shape.h, shape.w};
    const auto noise = optional_input(context, 3), bias = optional_input(context, 4),
               noise_gain = optional_input(context, 6), residual = optional_input(context, 7);
    if (noise) {
      conv.noise_per_sample = noise->shape == Dimensions{shape.n, 1, shape.h, shape.w};
      if (!conv.noise_per_sample && noise->shape != Dimensions{shape.h, shape.w})
        refuse("noise is " + text(noise->shape) + ", needs " + text(Dimensions{shape.n, 1, shape.h, shape.w}) + " or " +
               text(Dimensions{shape.h, shape.w}));
      conv.noise = noise->data;
    }
    if (bias) check_shape(kName, "bias", bias->shape, {shape.c});
    if (noise_gain) check_shape(kName, "noise_gain", noise_gain->shape, {shape.c});
    if (residual) check_shape(kName, "residual", residual->shape, made);
    conv.bias = bias ? bias->data : nullptr;
    conv.noise_gain = noise_gain ? noise_gain->data : nullptr;
    conv.residual = residual ? residual->data : nullptr;
    auto y = context.GetOutput(0, made);
    float* out = y.GetTensorMutableData<float>();
    if (!constant_) return modulated_conv2d(x.data, in, weight.data, styles.data, conv, host_threads(context), out);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (kept_.empty()) {
      modulated_conv2d(x.data, in, weight.data, styles.data, conv, host_threads(context), out);
      kept_.assign(out, out + shape.size());
    }
    std::copy(kept_.begin(), kept_.end(), out);
  }

 private:
  [[noreturn]] static void refuse(const std::string& what) {
    throw std::invalid_argument(std::string(kName) + ": " + what);
  }

  // Whether all that is given is constant, as in a network that begins with a learned map: then so is the result, which
  // ONNX Runtime would make in every run.
  static bool all_constant(const Ort::ConstKernelInfo& info) {
    for (size_t index = 0; index < info.GetInputCount(); ++index) {
      if (info.GetInputName(index).empty()) continue;
      int constant = 0;
      info.GetTensorConstantInput(index, &constant);
      if (!constant) return false;
    }
    return true;
  }

  ModulatedConv conv_;  // without the pointers
  bool constant_;
  mutable std::mutex mutex_;
  mutable std::vector<float> kept_;  // the result, where it is constant; made by the first run
  std::vector<float> taps_;
  std::unique_ptr<ConvWeights> prepared_;
};

}  // namespace

const OrtCustomOp* modulated_conv2d_op() { return operator_of<ModulatedConv2d>(); }

}  // namespace ort
}  // namespace dsb
