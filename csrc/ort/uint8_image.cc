// Uint8Image: image * scale + offset, held to 0..255 and cut down to grey levels, channels last.
//
// Input: image [N, C, H, W]. Attributes: scale, offset. Output: uint8 [N, H, W, C]. A value that is not a number is an
// error.
#include <stdexcept>

#include "ops/conversions.h"
#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

class Uint8Image {
 public:
  static constexpr const char* kName = "Uint8Image";
  static constexpr Input kInputs[] = {{kFloat}};
  static constexpr ONNXTensorElementDataType kOutput = ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;

  explicit Uint8Image(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    scale_ = attributes.number("scale", {});
    offset_ = attributes.number("offset", {});
  }

  void compute(const Ort::KernelContext& context) const {
    const Tensor image = input(context, 0);
    const Shape4 shape = image_shape(kName, "image", image.shape);
    auto out = context.GetOutput(0, {shape.n, shape.h, shape.w, shape.c});
    if (image.count == 0) return;
    if (!grey_levels(image.data, shape, scale_, offset_, host_threads(context), out.GetTensorMutableData<uint8_t>()))
      throw std::invalid_argument(std::string(kName) + ": image has values that are not numbers");
  }

  static void infer(Inference& inference) {
    const Sizes& image = inference.input(0);
    if (image.size() == 4 && known(image)) inference.set_output({image[0], image[2], image[3], image[1]}, kOutput);
  }

 private:
  float scale_, offset_;
};

}  // namespace

const OrtCustomOp* uint8_image_op() { return operator_of<Uint8Image>(); }

}  // namespace ort
}  // namespace dsb
