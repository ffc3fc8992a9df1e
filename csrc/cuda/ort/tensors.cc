#include "cuda/ort/tensors.h"

#include <stdexcept>

namespace dsb {
namespace cuda {
namespace {

[[noreturn]] void refuse(const std::string& op, const char* name, const Dimensions& shape, const std::string& needed) {
  throw std::invalid_argument(op + ": " + name + " is " + ort::text(shape) + ", needs " + needed);
}

}  // namespace

DeviceTensor device_input(const Ort::KernelContext& context, const std::string& op, size_t index, const char* name) {
  if (index >= context.GetInputCount()) return {};
  const Ort::ConstValue value = context.GetInput(index);
  if (!value) return {};
  const auto info = value.GetTensorTypeAndShapeInfo();
  DeviceTensor tensor;
  tensor.shape = info.GetShape();
  tensor.count = static_cast<int64_t>(info.GetElementCount());
  tensor.array.data = value.GetTensorRawData();
  for (const Type type : {Type::float32, Type::float16, Type::bfloat16})
    if (info.GetElementType() == element(type)) {
      tensor.array.type = type;
      return tensor;
    }
  throw std::invalid_argument(op + ": " + name + " must be float, float16 or bfloat16");
}

bool channels_first(const Attributes& attributes) {
  const std::string layout = attributes.text("layout", "NHWC");
  if (layout != "NHWC" && layout != "NCHW")
    throw std::invalid_argument(attributes.op() + ": attribute layout is '" + layout.substr(0, 40) +
                                "'; it is NHWC or NCHW");
  return layout == "NCHW";
}

Image image_of(const std::string& op, const char* name, const Dimensions& shape, bool channels_first) {
  if (shape.size() < 3) refuse(op, name, shape, channels_first ? "[N, C, ...]" : "[N, ..., C]");
  Image image = {shape.front(), channels_first ? shape[1] : shape.back(), 1, 1, channels_first};
  const size_t first = channels_first ? 2 : 1, end = shape.size() - (channels_first ? 0 : 1);
  for (size_t k = first; k < end; ++k) (k + 1 == end ? image.w : image.h) *= shape[k];
  return image;
}

Image image4_of(const std::string& op, const char* name, const Dimensions& shape, bool channels_first) {
  if (shape.size() != 4) refuse(op, name, shape, channels_first ? "[N, C, H, W]" : "[N, H, W, C]");
  return image_of(op, name, shape, channels_first);
}

Rows rows_of(const std::string& op, const char* name, const DeviceTensor& tensor, int64_t size, int64_t n,
             const char* needed) {
  if (tensor.count != size && tensor.count != size * n)
    refuse(op, name, tensor.shape,
           std::string(needed) + " with N of " + std::to_string(n) + " or 1 and " + std::to_string(size) +
               " values a sample");
  return {tensor.array, tensor.count == size};
}

void* output_data(const Ort::KernelContext& context, size_t index, const Dimensions& shape) {
  if (index >= context.GetOutputCount()) return nullptr;
  auto out = context.GetOutput(index, shape);
  return out ? out.GetTensorMutableRawData() : nullptr;
}

}  // namespace cuda
}  // namespace dsb
