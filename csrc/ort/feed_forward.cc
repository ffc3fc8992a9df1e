// FeedForward: gain * (w2 lrelu(w1 x + b1) + b2) + residual at every position.
//
// Inputs: x [N, I, H, W]; w1 [M, I] and w2 [O, M], or with [1, 1] behind, constant; b1 and b2, constant, and residual
// [N, O, H, W], each of which may be left out. Attributes: slope (0.2), gain (1.0); products, "float32" (default) or
// "bfloat16". Output: y [N, O, H, W].
#include "ops/feed_forward.h"

#include <memory>
#include <stdexcept>

#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

class FeedForwardKernel {
 public:
  static constexpr const char* kName = "FeedForward";
  static constexpr Input kInputs[] = {{kFloat},
                                      {kFloat},
                                      {kFloat},
                                      {kFloat, INPUT_OUTPUT_OPTIONAL},
                                      {kFloat, INPUT_OUTPUT_OPTIONAL},
                                      {kFloat, INPUT_OUTPUT_OPTIONAL}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit FeedForwardKernel(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    const Tensor w1 = point_weight(info, kName, 1, "w1"), w2 = point_weight(info, kName, 2, "w2");
    check_shape(kName, "w2", w2.shape, {w2.shape[0], w1.shape[0]});
    const auto b1 = constant_input(info, kName, 3, "b1"), b2 = constant_input(info, kName, 4, "b2");
    if (b1) check_shape(kName, "b1", b1->shape, {w1.shape[0]});
    if (b2) check_shape(kName, "b2", b2->shape, {w2.shape[0]});
    spec_ = {w1.shape[1],
             w1.shape[0],
             w2.shape[0],
             attributes.number("slope", 0.2f),
             attributes.number("gain", 1.0f),
             attributes.bfloat16_products()};
    layer_ = std::make_unique<FeedForward>(spec_, w1.data, b1 ? b1->data : nullptr, w2.data, b2 ? b2->data : nullptr);
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0);
    const auto residual = optional_input(context, 5);
    const Shape4 in = image_shape(kName, "x", x.shape), shape = {in.n, spec_.out_channels, in.h, in.w};
    if (in.c != spec_.channels)
      throw std::invalid_argument(std::string(kName) + ": x is " + text(x.shape) + ", w1 has " +
                                  std::to_string(spec_.channels) + " input channels");
    check_growth(kName, in, saturated_size(shape));
    const Dimensions made = {shape.n, shape.c, shape.h, shape.w};
    if (residual) check_shape(kName, "residual", residual->shape, made);
    auto y = context.GetOutput(0, made);
    layer_->run(x.data, residual ? residual->data : nullptr, in, host_threads(context),
                y.GetTensorMutableData<float>());
  }

 private:
  FeedForwardSpec spec_;
  std::unique_ptr<FeedForward> layer_;
};

}  // namespace

const OrtCustomOp* feed_forward_op() { return operator_of<FeedForwardKernel>(); }

}  // namespace ort
}  // namespace dsb
