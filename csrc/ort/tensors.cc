#include "ort/tensors.h"

#include <algorithm>
#include <stdexcept>

namespace dsb {
namespace ort {
namespace {

constexpr int64_t kMaxValues = int64_t{1} << 40, kMaxGrowth = 1024, kSmall = 1 << 20;

Tensor tensor_of(const Ort::ConstValue& value) {
  const auto info = value.GetTensorTypeAndShapeInfo();
  return {value.GetTensorData<float>(), info.GetShape(), info.GetElementCount()};
}

}  // namespace

std::string text(const Dimensions& shape) {
  std::string out;
  for (const int64_t n : shape) out += (out.empty() ? "" : ", ") + std::to_string(n);
  return "[" + out + "]";
}

Shape4 image_shape(const std::string& op, const std::string& name, const Dimensions& shape) {
  if (shape.size() != 4)
    throw std::invalid_argument(op + ": " + name + " is " + text(shape) + ", needs four dimensions");
  const Shape4 image = {shape[0], shape[1], shape[2], shape[3]};
  if (saturated_size(image) > kMaxValues)
    throw std::invalid_argument(op + ": " + name + " is " + text(shape) + ", which is too large");
  return image;
}

void check_growth(const std::string& op, const Shape4& given, int64_t made) {
  if (given.n && made > std::max(kSmall, given.size() * kMaxGrowth))
    throw std::invalid_argument(op + ": up, padding and channels make " + std::to_string(made) + " values of " +
                                std::to_string(given.size()) + "; at most " + std::to_string(kMaxGrowth) +
                                " times as many");
}

void check_shape(const std::string& op, const std::string& name, const Dimensions& given, const Dimensions& needed) {
  if (given != needed) throw std::invalid_argument(op + ": " + name + " is " + text(given) + ", needs " + text(needed));
}

Tensor input(const Ort::KernelContext& context, size_t index) { return tensor_of(context.GetInput(index)); }

std::optional<Tensor> optional_input(const Ort::KernelContext& context, size_t index) {
  if (index >= context.GetInputCount()) return {};
  const Ort::ConstValue value = context.GetInput(index);
  if (!value) return {};
  return tensor_of(value);
}

std::optional<Tensor> constant_input(const Ort::ConstKernelInfo& info, const std::string& op, size_t index,
                                     const char* name) {
  if (index >= info.GetInputCount() || info.GetInputName(index).empty()) return {};
  int constant = 0;
  const Ort::ConstValue value = info.GetTensorConstantInput(index, &constant);
  if (!constant) throw std::invalid_argument(op + ": " + name + " must be constant");
  return tensor_of(value);
}

Tensor point_weight(const Ort::ConstKernelInfo& info, const std::string& op, size_t index, const char* name) {
  auto weight = constant_input(info, op, index, name);
  if (!weight) throw std::invalid_argument(op + ": " + name + " is missing");
  const Dimensions& s = weight->shape;
  if ((s.size() != 2 && s.size() != 4) || (s.size() == 4 && (s[2] != 1 || s[3] != 1)))
    throw std::invalid_argument(op + ": " + name + " is " + text(s) + ", needs [out, in] or [out, in, 1, 1]");
  if (weight->count == 0) throw std::invalid_argument(op + ": " + name + " is " + text(s) + "; no size of it can be 0");
  weight->shape.resize(2);
  return *weight;
}

std::vector<Filter> filters_of(const std::string& op, const Tensor& taps) {
  const Dimensions& shape = taps.shape;
  if ((shape.size() != 1 && shape.size() != 2) || *std::min_element(shape.begin(), shape.end()) < 1)
    throw std::invalid_argument(op + ": the filter is " + text(shape) + ", needs [t] or [h, w]");
  if (shape.size() == 2) return {{taps.data, shape[0], shape[1]}};
  return {{taps.data, 1, shape[0]}, {taps.data, shape[0], 1}};
}

}  // namespace ort
}  // namespace dsb
