// Attention: linear attention with the convolutions before and behind it, ops/attention.h.
//
// Inputs: x and source [N, I, H, W]; to_q, to_k [heads * d, I], to_v [heads * e, I], to_out [O, heads * e], each of
// them [out, in] or [out, in, 1, 1]; q_bias, v_bias, out_bias, each of which may be left out; all of these constant;
// residual [N, O, H, W], which may be left out. Attributes: heads; q_scale, k_scale, out_scale, gain (1.0); act,
// "linear" (default) or "gelu"; products, "float32" (default) or "bfloat16". Output: y [N, O, H, W].
#include "ops/attention.h"

#include <memory>
#include <stdexcept>

#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

constexpr int64_t kMaxHeads = 1 << 20;

class AttentionKernel {
 public:
  static constexpr const char* kName = "Attention";
  static constexpr Input kInputs[] = {{kFloat},
                                      {kFloat},
                                      {kFloat},
                                      {kFloat},
                                      {kFloat},
                                      {kFloat},
                                      {kFloat, INPUT_OUTPUT_OPTIONAL},
                                      {kFloat, INPUT_OUTPUT_OPTIONAL},
                                      {kFloat, INPUT_OUTPUT_OPTIONAL},
                                      {kFloat, INPUT_OUTPUT_OPTIONAL}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit AttentionKernel(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    const Tensor to_q = point_weight(info, kName, 2, "to_q"), to_k = point_weight(info, kName, 3, "to_k");
    const Tensor to_v = point_weight(info, kName, 4, "to_v"), to_out = point_weight(info, kName, 5, "to_out");
    const int64_t heads = attributes.integer("heads", 1, kMaxHeads, {}), channels = to_q.shape[1];
    check_shape(kName, "to_k", to_k.shape, to_q.shape);
    check_shape(kName, "to_v", to_v.shape, {to_v.shape[0], channels});
    check_shape(kName, "to_out", to_out.shape, {to_out.shape[0], to_v.shape[0]});
    for (const int64_t width : {to_q.shape[0], to_v.shape[0]})
      if (width % heads)
        refuse(std::to_string(width) + " channels can't be shared by " + std::to_string(heads) + " heads");
    const std::string act = attributes.text("act", "linear");
    if (act != "linear" && act != "gelu") refuse("attribute act is '" + act + "'; there are linear and gelu");
    spec_ = {channels,
             heads,
             to_q.shape[0] / heads,
             to_v.shape[0] / heads,
             to_out.shape[0],
             attributes.number("q_scale", 1.0f),
             attributes.number("k_scale", 1.0f),
             attributes.number("out_scale", 1.0f),
             attributes.number("gain", 1.0f),
             act == "gelu",
             attributes.bfloat16_products()};
    check_growth(kName, {1, 1, 1, static_cast<int64_t>(2 * to_q.count + to_v.count + to_out.count)},
                 Attention::packed_size(spec_));
    const auto q_bias = bias(info, 6, "q_bias", to_q.shape[0]), v_bias = bias(info, 7, "v_bias", to_v.shape[0]);
    const auto out_bias = bias(info, 8, "out_bias", to_out.shape[0]);
    const auto data = [](const std::optional<Tensor>& tensor) { return tensor ? tensor->data : nullptr; };
    attention_ = std::make_unique<Attention>(spec_, AttentionWeights{to_q.data, data(q_bias), to_k.data, to_v.data,
                                                                     data(v_bias), to_out.data, data(out_bias)});
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0), source = input(context, 1);
    const auto residual = optional_input(context, 9);
    const Shape4 in = image_shape(kName, "x", x.shape), shape = {in.n, spec_.out_channels, in.h, in.w};
    if (in.c != spec_.channels)
      refuse("x is " + text(x.shape) + ", its weights have " + std::to_string(spec_.channels) + " input channels");
    check_shape(kName, "source", source.shape, x.shape);
    check_growth(kName, in, saturated_size(shape));
    const Dimensions made = {shape.n, shape.c, shape.h, shape.w};
    if (residual) check_shape(kName, "residual", residual->shape, made);
    auto y = context.GetOutput(0, made);
    attention_->run(x.data, source.data, residual ? residual->data : nullptr, in, host_threads(context),
                    y.GetTensorMutableData<float>());
  }

 private:
  [[noreturn]] static void refuse(const std::string& what) {
    throw std::invalid_argument(std::string(kName) + ": " + what);
  }

  static std::optional<Tensor> bias(const Ort::ConstKernelInfo& info, size_t index, const char* name, int64_t count) {
    auto found = constant_input(info, kName, index, name);
    if (found) check_shape(kName, name, found->shape, {count});
    return found;
  }

  AttentionSpec spec_;
  std::unique_ptr<Attention> attention_;
};

}  // namespace

const OrtCustomOp* attention_op() { return operator_of<AttentionKernel>(); }

}  // namespace ort
}  // namespace dsb
