// LinearAttention: for each head out_scale * context^T softmax(q * q_scale) with context = softmax(k * k_scale) v^T, q
// normalised over the features of a position, k over the positions.
//
// Inputs: q and k [N, heads * d, H, W]; v [N, heads * e, H, W]. Attributes: heads; q_scale, k_scale, out_scale (1.0).
// Output: y, as v.
#include "ops/linear_attention.h"

#include <stdexcept>

#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

constexpr int64_t kMaxHeads = 1 << 20;

class LinearAttentionKernel {
 public:
  static constexpr const char* kName = "LinearAttention";
  static constexpr Input kInputs[] = {{kFloat}, {kFloat}, {kFloat}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit LinearAttentionKernel(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    attention_ = {attributes.integer("heads", 1, kMaxHeads, {}), attributes.number("q_scale", 1.0f),
                  attributes.number("k_scale", 1.0f), attributes.number("out_scale", 1.0f)};
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor q = input(context, 0), k = input(context, 1), v = input(context, 2);
    const Shape4 features = image_shape(kName, "q", q.shape), values = image_shape(kName, "v", v.shape);
    linear_attention_shape(features, image_shape(kName, "k", k.shape), values, attention_);
    // What a head sums up is a matrix of its features and values, however few positions there are.
    const int64_t heads = attention_.heads;
    check_growth(kName, features.c > values.c ? features : values,
                 saturated_size({1, 1, features.c / heads, values.c / heads}));
    auto y = context.GetOutput(0, v.shape);
    if (v.count == 0) return;
    linear_attention(q.data, k.data, v.data, features, values, attention_, host_threads(context),
                     y.GetTensorMutableData<float>());
  }

  static void infer(Inference& inference) { inference.set_output_as(2, kOutput); }

 private:
  LinearAttention attention_;
};

}  // namespace

const OrtCustomOp* linear_attention_op() { return operator_of<LinearAttentionKernel>(); }

}  // namespace ort
}  // namespace dsb
