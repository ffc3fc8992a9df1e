// NormalizeLatent and Truncate: what comes before and after the layers of a mapping network.
//
// NormalizeLatent: input z [N, D]; attribute kind, "l2" (z / max(|z|, 1e-12)) or "rms" (z / sqrt(mean(z^2) + 1e-8));
// output, as z.
// Truncate: inputs w [..., D], mean [D], psi (one number); output, as w, mean + psi * (w - mean).
#include <stdexcept>

#include "ops/conversions.h"
#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

class NormalizeLatent {
 public:
  static constexpr const char* kName = "NormalizeLatent";
  static constexpr Input kInputs[] = {{kFloat}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit NormalizeLatent(const Ort::ConstKernelInfo& info) {
    const std::string kind = Attributes(info, kName).text("kind", "");
    if (kind != "l2" && kind != "rms")
      throw std::invalid_argument(std::string(kName) + ": attribute kind is '" + kind.substr(0, 40) +
                                  "'; there are l2, rms");
    norm_ = kind == "l2" ? LatentNorm::l2 : LatentNorm::rms;
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor z = input(context, 0);
    if (z.shape.size() != 2)
      throw std::invalid_argument(std::string(kName) + ": z is " + text(z.shape) + ", needs [N, features]");
    auto out = context.GetOutput(0, z.shape);
    if (z.count == 0) return;
    normalize_latent(z.data, z.shape[0], z.shape[1], norm_, out.GetTensorMutableData<float>());
  }

  static void infer(Inference& inference) { inference.set_output_as(0, kOutput); }

 private:
  LatentNorm norm_;
};

class Truncate {
 public:
  static constexpr const char* kName = "Truncate";
  static constexpr Input kInputs[] = {{kFloat}, {kFloat}, {kFloat}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit Truncate(const Ort::ConstKernelInfo&) {}

  void compute(const Ort::KernelContext& context) const {
    const Tensor w = input(context, 0), mean = input(context, 1), psi = input(context, 2);
    if (w.shape.empty()) throw std::invalid_argument(std::string(kName) + ": w is [], needs [..., features]");
    check_shape(kName, "mean", mean.shape, {w.shape.back()});
    if (psi.shape.size() > 1 || psi.count != 1)
      throw std::invalid_argument(std::string(kName) + ": psi is " + text(psi.shape) + ", needs one number");
    auto out = context.GetOutput(0, w.shape);
    const int64_t length = w.shape.back(), count = w.count ? static_cast<int64_t>(w.count) / length : 0;
    truncate_styles(w.data, count, length, mean.data, *psi.data, out.GetTensorMutableData<float>());
  }

  static void infer(Inference& inference) { inference.set_output_as(0, kOutput); }
};

}  // namespace

const OrtCustomOp* normalize_latent_op() { return operator_of<NormalizeLatent>(); }
const OrtCustomOp* truncate_op() { return operator_of<Truncate>(); }

}  // namespace ort
}  // namespace dsb
