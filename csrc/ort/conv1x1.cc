// Conv1x1: a matrix product at every position, gain * act(weight x + bias) + residual.
//
// Inputs: x [N, I, H, W]; weight [O, I] or [O, I, 1, 1], constant; bias [O] and residual [N, O, H, W], each of which
// may be left out. Attributes, all optional: act, alpha, clamp as BiasAct; gain (1.0 whatever act is). Output: y [N, O,
// H, W].
#include "ops/conv1x1.h"

#include <stdexcept>

#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

class Conv1x1Kernel {
 public:
  static constexpr const char* kName = "Conv1x1";
  static constexpr Input kInputs[] = {
      {kFloat}, {kFloat}, {kFloat, INPUT_OUTPUT_OPTIONAL}, {kFloat, INPUT_OUTPUT_OPTIONAL}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit Conv1x1Kernel(const Ort::ConstKernelInfo& info) {
    const auto weight = constant_input(info, kName, 1, "weight");
    const size_t rank = weight ? weight->shape.size() : 0;
    if (weight && weight->count == 0)
      throw std::invalid_argument(std::string(kName) + ": weight is " + text(weight->shape) +
                                  "; no size of it can be 0");
    if ((rank != 2 && rank != 4) || (rank == 4 && (weight->shape[2] != 1 || weight->shape[3] != 1)))
      throw std::invalid_argument(std::string(kName) + ": weight is " + (weight ? text(weight->shape) : "missing") +
                                  ", needs [out, in] or [out, in, 1, 1]");
    out_ = weight->shape[0], in_ = weight->shape[1];
    activation_ = Attributes(info, kName).activation(1.0f);
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0), weight = input(context, 1);
    const auto bias = optional_input(context, 2), residual = optional_input(context, 3);
    const Shape4 in = image_shape(kName, "x", x.shape), shape = {in.n, out_, in.h, in.w};
    if (in.c != in_)
      throw std::invalid_argument(std::string(kName) + ": x is " + text(x.shape) + ", weight " + text(weight.shape) +
                                  "; their input channels differ");
    check_growth(kName, in, saturated_size(shape));
    const Dimensions made = {shape.n, shape.c, shape.h, shape.w};
    if (bias) check_shape(kName, "bias", bias->shape, {out_});
    if (residual) check_shape(kName, "residual", residual->shape, made);
    const Conv1x1 conv = {weight.data, out_, bias ? bias->data : nullptr, residual ? residual->data : nullptr,
                          activation_};
    auto y = context.GetOutput(0, made);
    conv1x1(x.data, in, conv, host_threads(context), y.GetTensorMutableData<float>());
  }

 private:
  int64_t out_, in_;
  ActivationOptions activation_;
};

}  // namespace

const OrtCustomOp* conv1x1_op() { return operator_of<Conv1x1Kernel>(); }

}  // namespace ort
}  // namespace dsb
