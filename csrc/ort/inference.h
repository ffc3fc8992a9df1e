// Sizes of tensors before a run. ONNX Runtime's own wrapper writes a named dimension in a way that its newer versions
// refuse.
#pragma once

#include <cstdint>
#include <vector>

#include "ort/library.h"

namespace dsb {
namespace ort {

using Sizes = Ort::ShapeInferContext::Shape;  // numbers or names

// Whether each dimension has a size or a name. Of a scalar nothing is known: an unknown rank looks the same.
inline bool known(const Sizes& sizes) {
  for (const auto& size : sizes)
    if (size.IsInt() && size.AsInt() < 0) return false;
  return !sizes.empty();
}

// Everything here may throw.
class Inference {
 public:
  explicit Inference(OrtShapeInferContext* raw) : raw_(raw), context_(&Ort::GetApi(), raw) {}

  const Sizes& input(size_t index) const { return context_.GetInputShape(index); }
  std::vector<int64_t> integers(const char* attribute) { return context_.GetAttrInts(attribute); }

  // As input `index`, where its sizes are known.
  void set_output_as(size_t index, ONNXTensorElementDataType type) {
    const Sizes& sizes = input(index);
    if (known(sizes)) set_output(sizes, type);
  }

  void set_output(const Sizes& sizes, ONNXTensorElementDataType type) {
    std::vector<int64_t> numbers;
    std::vector<const char*> names;
    for (const auto& size : sizes) {
      numbers.push_back(size.IsInt() ? size.AsInt() : -1);
      names.push_back(size.IsInt() ? "" : size.AsSym());
    }
    const OrtApi& api = Ort::GetApi();
    OrtTensorTypeAndShapeInfo* made = nullptr;
    Ort::ThrowOnError(api.CreateTensorTypeAndShapeInfo(&made));
    const Ort::TensorTypeAndShapeInfo owner(made);
    Ort::ThrowOnError(api.SetTensorElementType(made, type));
    Ort::ThrowOnError(api.SetDimensions(made, numbers.data(), numbers.size()));
    Ort::ThrowOnError(api.SetSymbolicDimensions(made, names.data(), names.size()));
    Ort::ThrowOnError(api.ShapeInferContext_SetOutputTypeShape(raw_, 0, made));
  }

 private:
  OrtShapeInferContext* raw_;
  Ort::ShapeInferContext context_;
};

}  // namespace ort
}  // namespace dsb
