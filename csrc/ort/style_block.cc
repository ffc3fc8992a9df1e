// StyleBlock: what one size of stylegan2-pytorch's images is made of, two ModulatedConv2d of 3 x 3 taps, padding 1,
// with demodulation, noise, bias and activation, and, where there is a colour weight, a third of one point without
// these, whose result is then the only one. The bits are those of the three.
//
// Inputs: x [N, I, H, W]; weight1 [M, I, 3, 3] and weight2 [O, M, 3, 3], constant; styles1 [N, I] and styles2 [N, M];
// and, each of which may be left out, noise [N, 1, H', W'] or [H', W'] (of both layers), bias1 and noise_gain1 [M],
// bias2 and noise_gain2 [O], colour_weight [K, O, 1, 1] (constant; K at most 4, O then at most 32), colour_styles [N,
// O], needed beside it, and colour_residual [N, K, H', W'] (added last). All samples share an x of one. H' and W' are
// multiples of 4.
// Attributes, all optional: style_offset (0.0, added to all styles); act (linear, relu or lrelu), alpha, gain, clamp as
// BiasAct; products, "float32" (default) or "bfloat16"; upsample, "none" (default) or "bilinear": x is
// UpsampleBilinear2d of the input. Output: y [N, O, H', W'], or [N, K, H', W'] of colours.
#include "ops/style_block.h"

#include <memory>
#include <stdexcept>

#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

constexpr Input kOptional = {kFloat, INPUT_OUTPUT_OPTIONAL};

class StyleBlockKernel {
 public:
  static constexpr const char* kName = "StyleBlock";
  static constexpr Input kInputs[] = {{kFloat},  {kFloat},  {kFloat},  {kFloat},  {kFloat},  kOptional, kOptional,
                                      kOptional, kOptional, kOptional, kOptional, kOptional, kOptional};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit StyleBlockKernel(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    ModulatedConv conv = {};
    conv.left = conv.right = conv.top = conv.bottom = 1;
    conv.style_offset = attributes.number("style_offset", 0.0f);
    conv.activation = attributes.activation();
    conv.bfloat16_products = attributes.bfloat16_products();
    const std::string upsample = attributes.text("upsample", "none");
    if (upsample != "none" && upsample != "bilinear")
      refuse("attribute upsample is \"" + upsample + "\"; it is \"none\" or \"bilinear\"");
    first_ = second_ = conv;
    first_.enlarged = upsample == "bilinear";
    first_.weight = weight_shape(info, 1, "weight1"), second_.weight = weight_shape(info, 2, "weight2");
    if (second_.weight.c != first_.weight.n)
      refuse("weight2 is " + text(second_.weight) + ", weight1 " + text(first_.weight) +
             "; what comes out of one does not go into the other");
    prepared1_ = std::make_unique<ConvWeights>(first_.weight, false);
    prepared2_ = std::make_unique<ConvWeights>(second_.weight, false);
    if (const auto colours = constant_input(info, kName, 10, "colour_weight")) {
      const Shape4 shape = image_shape(kName, "colour_weight", colours->shape);
      if (shape.n < 1 || shape.n > kMostColours || shape.c != second_.weight.n || shape.c > WinogradWeights::kBlock ||
          shape.h != 1 || shape.w != 1)
        refuse("colour_weight is " + text(colours->shape) + ", weight2 " + text(second_.weight) +
               "; at most 4 colours of at most 32 channels are made");
      second_.colours.count = shape.n;
    }
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0), styles1 = input(context, 3), styles2 = input(context, 4);
    Shape4 in = image_shape(kName, "x", x.shape);
    const Shape4 given = in;
    StyleBlock block = {first_, second_, input(context, 1).data, input(context, 2).data, styles1.data, styles2.data};
    block.first.prepared = prepared1_.get(), block.second.prepared = prepared2_.get();
    if (in.n == 1 && styles1.shape.size() == 2) {
      block.first.x_per_sample = false;
      in.n = styles1.shape[0];
    }
    check_shape(kName, "styles1", styles1.shape, {in.n, block.first.weight.c});
    check_shape(kName, "styles2", styles2.shape, {in.n, block.second.weight.c});
    const Shape4 shape = style_block_shape(in, block);
    const Shape4 most = {shape.n, std::max(block.first.weight.n, block.second.weight.n), shape.h, shape.w};
    check_growth(kName, block.first.x_per_sample ? given : in, saturated_size(most));
    const Dimensions made = {shape.n, shape.c, shape.h, shape.w};
    add_noise(optional_input(context, 5), shape, block);
    set_values(context, 6, "bias1", block.first.weight.n, &block.first.bias);
    set_values(context, 7, "noise_gain1", block.first.weight.n, &block.first.noise_gain);
    set_values(context, 8, "bias2", block.second.weight.n, &block.second.bias);
    set_values(context, 9, "noise_gain2", block.second.weight.n, &block.second.noise_gain);
    std::vector<float> storage;
    if (Colours& colours = block.second.colours; colours.count) {
      const auto styles = optional_input(context, 11), residual = optional_input(context, 12);
      if (!styles) refuse("colour_weight needs colour_styles beside it");
      check_shape(kName, "colour_styles", styles->shape, {in.n, block.second.weight.n});
      if (residual) check_shape(kName, "colour_residual", residual->shape, made);
      storage.assign(styles->data, styles->data + styles->count);
      for (float& style : storage) style += block.second.style_offset;
      colours.weight = input(context, 10).data, colours.styles = storage.data();
      colours.residual = residual ? residual->data : nullptr;
    }
    auto y = context.GetOutput(0, made);
    style_block(x.data, in, block, host_threads(context), y.GetTensorMutableData<float>());
  }

 private:
  [[noreturn]] static void refuse(const std::string& what) {
    throw std::invalid_argument(std::string(kName) + ": " + what);
  }

  static Shape4 weight_shape(const Ort::ConstKernelInfo& info, size_t index, const char* name) {
    const auto weight = constant_input(info, kName, index, name);
    if (!weight) refuse(std::string(name) + " is missing");
    const Shape4 shape = image_shape(kName, name, weight->shape);
    if (shape.size() < 1 || shape.h != 3 || shape.w != 3)
      refuse(std::string(name) + " is " + text(weight->shape) + ", needs to be [out, in, 3, 3] with no size of 0");
    return shape;
  }

  static void add_noise(const std::optional<Tensor>& noise, const Shape4& shape, StyleBlock& block) {
    if (!noise) return;
    const bool per_sample = noise->shape == Dimensions{shape.n, 1, shape.h, shape.w};
    if (!per_sample && noise->shape != Dimensions{shape.h, shape.w})
      refuse("noise is " + text(noise->shape) + ", needs " + text(Dimensions{shape.n, 1, shape.h, shape.w}) + " or " +
             text(Dimensions{shape.h, shape.w}));
    for (ModulatedConv* conv : {&block.first, &block.second})
      conv->noise = noise->data, conv->noise_per_sample = per_sample;
  }

  static void set_values(const Ort::KernelContext& context, size_t index, const char* name, int64_t count,
                         const float** to) {
    const auto values = optional_input(context, index);
    if (values) check_shape(kName, name, values->shape, {count});
    *to = values ? values->data : nullptr;
  }

  ModulatedConv first_, second_;  // without the pointers
  std::unique_ptr<ConvWeights> prepared1_, prepared2_;
};

}  // namespace

const OrtCustomOp* style_block_op() { return operator_of<StyleBlockKernel>(); }

}  // namespace ort
}  // namespace dsb
