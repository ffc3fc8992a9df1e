// BiasAct: clamp(gain * act(x + b)).
//
// Inputs: x of any shape; b [x.shape[axis]], may be left out. Attributes, all optional: act (linear), alpha and gain
// (as StyleGAN2-ADA has them for the activation), clamp (none), axis (1; negative counts from the end). Output: y, as
// x.
#include "ops/bias_act.h"

#include <stdexcept>

#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

class BiasAct {
 public:
  static constexpr const char* kName = "BiasAct";
  static constexpr Input kInputs[] = {{kFloat}, {kFloat, INPUT_OUTPUT_OPTIONAL}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit BiasAct(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    options_ = attributes.activation();
    axis_ = attributes.integer("axis", -64, 63, 1);
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0);
    const std::optional<Tensor> bias = optional_input(context, 1);
    int64_t outer = 1, channels = 1;
    if (bias) {
      const int64_t rank = static_cast<int64_t>(x.shape.size()), axis = axis_ < 0 ? axis_ + rank : axis_;
      if (axis < 0 || axis >= rank)
        throw std::invalid_argument(std::string(kName) + ": x is " + text(x.shape) + " and has no axis " +
                                    std::to_string(axis_));
      channels = x.shape[static_cast<size_t>(axis)];
      if (bias->shape != Dimensions{channels})
        throw std::invalid_argument(std::string(kName) + ": b is " + text(bias->shape) + ", x is " + text(x.shape) +
                                    " and needs " + text(Dimensions{channels}));
      for (int64_t k = 0; k < axis && x.count; ++k) outer *= x.shape[static_cast<size_t>(k)];
    }
    auto y = context.GetOutput(0, x.shape);
    if (x.count == 0) return;
    const int64_t inner = static_cast<int64_t>(x.count) / (outer * channels);
    bias_act(x.data, outer, channels, inner, bias ? bias->data : nullptr, options_, host_threads(context),
             y.GetTensorMutableData<float>());
  }

 private:
  ActivationOptions options_;
  int64_t axis_;
};

}  // namespace

const OrtCustomOp* bias_act_op() { return operator_of<BiasAct>(); }

}  // namespace ort
}  // namespace dsb
