// NoisePlane: the top left corner of every noise map, row and column swapped, as stylegan2-pytorch adds it.
//
// Input: noise [N, H, W]. Attribute: size. Output: plane [N, 1, size, size].
#include <stdexcept>

#include "ops/image_layers.h"
#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

constexpr int64_t kMaxSize = 1 << 20;

class NoisePlane {
 public:
  static constexpr const char* kName = "NoisePlane";
  static constexpr Input kInputs[] = {{kFloat}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

  explicit NoisePlane(const Ort::ConstKernelInfo& info)
      : size_(Attributes(info, kName).integer("size", 1, kMaxSize, {})) {}

  void compute(const Ort::KernelContext& context) const {
    const Tensor noise = input(context, 0);
    const Dimensions& shape = noise.shape;
    if (shape.size() != 3 || shape[1] < size_ || shape[2] < size_)
      throw std::invalid_argument(std::string(kName) + ": noise is " + text(shape) +
                                  ", needs [N, H, W], both at least " + std::to_string(size_));
    auto plane = context.GetOutput(0, {shape[0], 1, size_, size_});
    noise_planes(noise.data, shape[0], shape[1], shape[2], size_, host_threads(context),
                 plane.GetTensorMutableData<float>());
  }

 private:
  int64_t size_;
};

}  // namespace

const OrtCustomOp* noise_plane_op() { return operator_of<NoisePlane>(); }

}  // namespace ort
}  // namespace dsb
