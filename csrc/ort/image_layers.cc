// UpsampleBilinear2d, Blur2d, ChannelNorm, InstanceNorm, DepthwiseConv2d: layers that work on one plane, or one
// position, at a time.
//
// UpsampleBilinear2d: input x [N, C, H, W]; output y [N, C, 2 H, 2 W], corners not aligned, edges clamped.
// Blur2d: input x [N, C, H, W]; output y, as x, of the taps [1, 2, 1] x [1, 2, 1] / 16, edges reflected.
// ChannelNorm: inputs x [N, C, H, W], g [C], b [C]; attributes eps (1e-5), eps_to ("variance"); output y, as x, (x -
// mean) / sqrt(variance + eps) * g + b over the channels of a position; eps_to "deviation" divides by sqrt(variance) +
// eps.
// InstanceNorm: inputs and eps as ChannelNorm, over the positions of a channel.
// DepthwiseConv2d: inputs x [N, C, H, W], weight [C, h, w] or [C, 1, h, w]; attribute padding (0), zeros on every side;
// output y [N, C, H + 2 padding - h + 1, W + 2 padding - w + 1], each channel correlated with a kernel of its own.
#include "ops/image_layers.h"

#include <algorithm>
#include <stdexcept>

#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

class UpsampleBilinear2d {
 public:
  static constexpr const char* kName = "UpsampleBilinear2d";
  static constexpr Input kInputs[] = {{kFloat}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit UpsampleBilinear2d(const Ort::ConstKernelInfo&) {}

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0);
    const Shape4 in = image_shape(kName, "x", x.shape);
    auto y = context.GetOutput(0, {in.n, in.c, 2 * in.h, 2 * in.w});
    if (x.count == 0) return;
    upsample_bilinear2d(x.data, in, host_threads(context), y.GetTensorMutableData<float>());
  }

  static void infer(Inference& inference) {
    const Sizes& x = inference.input(0);
    if (x.size() != 4 || !known(x) || !x[2].IsInt() || !x[3].IsInt()) return;
    const Shape4 in = image_shape(kName, "x", {1, 1, x[2].AsInt(), x[3].AsInt()});
    inference.set_output({x[0], x[1], 2 * in.h, 2 * in.w}, kOutput);
  }
};

class Blur2d {
 public:
  static constexpr const char* kName = "Blur2d";
  static constexpr Input kInputs[] = {{kFloat}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit Blur2d(const Ort::ConstKernelInfo&) {}

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0);
    const Shape4 shape = image_shape(kName, "x", x.shape);
    auto y = context.GetOutput(0, x.shape);
    if (x.count == 0) return;
    blur2d(x.data, shape, host_threads(context), y.GetTensorMutableData<float>());
  }

  static void infer(Inference& inference) { inference.set_output_as(0, kOutput); }
};

float norm_eps(const Ort::ConstKernelInfo& info, const char* op) {
  const float eps = Attributes(info, op).number("eps", 1e-5f);
  if (eps < 0.0f) throw std::invalid_argument(std::string(op) + ": attribute eps is negative");
  return eps;
}

class ChannelNorm {
 public:
  static constexpr const char* kName = "ChannelNorm";
  static constexpr Input kInputs[] = {{kFloat}, {kFloat}, {kFloat}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit ChannelNorm(const Ort::ConstKernelInfo& info) : eps_(norm_eps(info, kName)) {
    const std::string eps_to = Attributes(info, kName).text("eps_to", "variance");
    eps_to_deviation_ = eps_to == "deviation";
    if (!eps_to_deviation_ && eps_to != "variance")
      throw std::invalid_argument(std::string(kName) + ": attribute eps_to is neither variance nor deviation");
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0), g = input(context, 1), b = input(context, 2);
    const Shape4 shape = image_shape(kName, "x", x.shape);
    check_shape(kName, "g", g.shape, {shape.c});
    check_shape(kName, "b", b.shape, {shape.c});
    auto y = context.GetOutput(0, x.shape);
    if (x.count == 0) return;
    channel_norm(x.data, shape, g.data, b.data, eps_, eps_to_deviation_, host_threads(context),
                 y.GetTensorMutableData<float>());
  }

  static void infer(Inference& inference) { inference.set_output_as(0, kOutput); }

 private:
  float eps_;
  bool eps_to_deviation_;
};

class InstanceNorm {
 public:
  static constexpr const char* kName = "InstanceNorm";
  static constexpr Input kInputs[] = {{kFloat}, {kFloat}, {kFloat}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit InstanceNorm(const Ort::ConstKernelInfo& info) : eps_(norm_eps(info, kName)) {}

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0), g = input(context, 1), b = input(context, 2);
    const Shape4 shape = image_shape(kName, "x", x.shape);
    check_shape(kName, "g", g.shape, {shape.c});
    check_shape(kName, "b", b.shape, {shape.c});
    auto y = context.GetOutput(0, x.shape);
    if (x.count == 0) return;
    instance_norm(x.data, shape, g.data, b.data, eps_, host_threads(context), y.GetTensorMutableData<float>());
  }

  static void infer(Inference& inference) { inference.set_output_as(0, kOutput); }

 private:
  float eps_;
};

class DepthwiseConv2d {
 public:
  static constexpr const char* kName = "DepthwiseConv2d";
  static constexpr Input kInputs[] = {{kFloat}, {kFloat}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit DepthwiseConv2d(const Ort::ConstKernelInfo& info)
      : padding_(Attributes(info, kName).integer("padding", 0, kMaxPadding, 0)) {}

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0), weight = input(context, 1);
    const Shape4 in = image_shape(kName, "x", x.shape);
    Dimensions kernel = weight.shape;
    if (kernel.size() == 4 && kernel[1] == 1) kernel.erase(kernel.begin() + 1);
    if (kernel.size() != 3 || kernel[0] != in.c)
      throw std::invalid_argument(std::string(kName) + ": weight is " + text(weight.shape) + ", x is " + text(x.shape) +
                                  " and needs [" + std::to_string(in.c) + ", h, w]");
    const DepthwiseConv conv = {kernel[1], kernel[2], padding_};
    const Shape4 shape = depthwise_conv2d_shape(in, conv);
    const Shape4 padded = {in.n, in.c, in.h + 2 * padding_, in.w + 2 * padding_};
    check_growth(kName, in, std::max(saturated_size(shape), saturated_size(padded)));
    auto y = context.GetOutput(0, {shape.n, shape.c, shape.h, shape.w});
    depthwise_conv2d(x.data, in, weight.data, conv, host_threads(context), y.GetTensorMutableData<float>());
  }

 private:
  int64_t padding_;
};

}  // namespace

const OrtCustomOp* blur2d_op() { return operator_of<Blur2d>(); }
const OrtCustomOp* channel_norm_op() { return operator_of<ChannelNorm>(); }
const OrtCustomOp* depthwise_conv2d_op() { return operator_of<DepthwiseConv2d>(); }
const OrtCustomOp* instance_norm_op() { return operator_of<InstanceNorm>(); }
const OrtCustomOp* upsample_bilinear2d_op() { return operator_of<UpsampleBilinear2d>(); }

}  // namespace ort
}  // namespace dsb
