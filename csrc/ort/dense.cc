// Dense: gain * act(x (weight * weight_gain)^T + bias * bias_gain); weight and bias are packed when the session is
// made.
//
// Inputs: x [N, I], or [N, rows, I]; weight [O, I], constant; bias [O], constant, which may be left out. Attributes,
// all optional: weight_gain, bias_gain (1.0); act, alpha, clamp as BiasAct; gain (1.0 whatever act is); row (of an x
// with rows the one that is taken; left out, their mean); shape (of a sample's outputs; [O]). Output: y [N, *shape].
#include "ops/dense.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include "ops/conversions.h"
#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

constexpr int64_t kMaxRows = 1 << 20, kMean = -1;
constexpr size_t kMaxRank = 7;  // of a sample's outputs

class Dense {
 public:
  static constexpr const char* kName = "Dense";
  static constexpr Input kInputs[] = {{kFloat}, {kFloat}, {kFloat, INPUT_OUTPUT_OPTIONAL}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit Dense(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    const auto weight = constant_input(info, kName, 1, "weight"), bias = constant_input(info, kName, 2, "bias");
    if (!weight || weight->shape.size() != 2)
      refuse("weight is " + (weight ? text(weight->shape) : std::string("missing")) + ", needs [out, in]");
    if (weight->count == 0) refuse("weight is " + text(weight->shape) + "; no size of it can be 0");
    out_ = weight->shape[0], in_ = weight->shape[1];
    if (bias) check_shape(kName, "bias", bias->shape, {out_});
    row_ = attributes.integer("row", 0, kMaxRows, kMean);
    shape_ = attributes.integers("shape", 0, 1, kMaxRows, Dimensions{out_});
    if (shape_.size() > kMaxRank) refuse("attribute shape has " + std::to_string(shape_.size()) + " dimensions");
    int64_t outputs = 1;
    for (const int64_t size : shape_)
      if (__builtin_mul_overflow(outputs, size, &outputs)) outputs = -1;
    if (outputs != out_)
      refuse("attribute shape is " + text(shape_) + ", weight has " + std::to_string(out_) + " outputs");
    const DenseSpec spec = {in_, out_, attributes.number("weight_gain", 1.0f), attributes.number("bias_gain", 1.0f),
                            attributes.activation(1.0f)};
    layer_ = std::make_unique<DenseLayer>(spec, weight->data, bias ? bias->data : nullptr);
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor x = input(context, 0);
    const size_t rank = x.shape.size();
    if ((rank != 2 && rank != 3) || x.shape.back() != in_)
      refuse("x is " + text(x.shape) + ", needs [N, " + std::to_string(in_) + "] or [N, rows, " + std::to_string(in_) +
             "]");
    const int64_t count = x.shape[0], rows = rank == 3 ? x.shape[1] : 1;
    if (rows <= std::max<int64_t>(row_, 0)) refuse("x is " + text(x.shape) + "; it has too few rows");
    check_growth(kName, {count ? 1 : 0, 1, 1, static_cast<int64_t>(x.count)}, saturated_size({count, 1, 1, out_}));
    Dimensions made = {count};
    made.insert(made.end(), shape_.begin(), shape_.end());
    auto y = context.GetOutput(0, made);
    std::vector<float> taken;
    if (rank == 3) taken = take(x.data, count, rows);
    layer_->run(rank == 3 ? taken.data() : x.data, count, host_threads(context), y.GetTensorMutableData<float>());
  }

 private:
  [[noreturn]] static void refuse(const std::string& what) {
    throw std::invalid_argument(std::string(kName) + ": " + what);
  }

  std::vector<float> take(const float* x, int64_t count, int64_t rows) const {
    std::vector<float> taken(static_cast<size_t>(count * in_));
    if (row_ == kMean) {
      mean_rows(x, count, rows, in_, taken.data());
      return taken;
    }
    for (int64_t n = 0; n < count; ++n) std::copy_n(x + (n * rows + row_) * in_, in_, taken.data() + n * in_);
    return taken;
  }

  int64_t out_, in_, row_;
  Dimensions shape_;
  std::unique_ptr<DenseLayer> layer_;
};

}  // namespace

const OrtCustomOp* dense_op() { return operator_of<Dense>(); }

}  // namespace ort
}  // namespace dsb
