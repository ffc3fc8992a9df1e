// Microvolt: signal * scale, cut toward zero and saturated to int16.
//
// Input: signal of any shape. Attribute: scale. Output: int16, as signal. A value that is not a number is an error.
#include "ops/microvolt.h"

#include <stdexcept>

#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

class Microvolt {
 public:
  static constexpr const char* kName = "Microvolt";
  static constexpr Input kInputs[] = {{kFloat}};
  static constexpr ONNXTensorElementDataType kOutput = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16;

  explicit Microvolt(const Ort::ConstKernelInfo& info) : scale_(Attributes(info, kName).number("scale", {})) {}

  void compute(const Ort::KernelContext& context) const {
    const Tensor signal = input(context, 0);
    auto out = context.GetOutput(0, signal.shape);
    if (!microvolt(signal.data, signal.count, scale_, host_threads(context), out.GetTensorMutableData<int16_t>()))
      throw std::invalid_argument(std::string(kName) + ": signal has values that are not numbers");
  }

  static void infer(Inference& inference) { inference.set_output_as(0, kOutput); }

 private:
  float scale_;
};

}  // namespace

const OrtCustomOp* microvolt_op() { return operator_of<Microvolt>(); }

}  // namespace ort
}  // namespace dsb
