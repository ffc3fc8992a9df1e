// PhiloxUniform and PhiloxNormal: the random numbers of samples start to start + count - 1 (docs/identity.md).
//
// Inputs: seed, start, count, one int64 or uint64 each, not negative. Attributes: shape of a sample; stream (0);
// PhiloxUniform also low (0) and high (1). Output: float32 [count, *shape].
#include <cmath>
#include <stdexcept>

#include "ops/random.h"
#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace ort {
namespace {

constexpr int64_t kMaxValues = int64_t{1} << 30;  // of one run: shape and even count may be a file's word

uint64_t scalar(const Ort::KernelContext& context, size_t index, const std::string& what) {
  const Ort::ConstValue value = context.GetInput(index);
  const auto info = value.GetTensorTypeAndShapeInfo();
  if (info.GetDimensionsCount() > 1 || info.GetElementCount() != 1)
    throw std::invalid_argument(what + " is " + text(info.GetShape()) + ", needs one number");
  if (info.GetElementType() == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64) return *value.GetTensorData<uint64_t>();
  const int64_t number = *value.GetTensorData<int64_t>();
  if (number < 0) throw std::invalid_argument(what + " is " + std::to_string(number) + "; it can't be negative");
  return static_cast<uint64_t>(number);
}

class Philox {
 public:
  static constexpr Input kInputs[] = {{ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED},
                                      {ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED},
                                      {ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED}};
  static constexpr ONNXTensorElementDataType kOutput = kFloat;

 protected:
  Philox(const Ort::ConstKernelInfo& info, const Attributes& attributes) : op_(attributes.op()) {
    for (size_t k = 0; k < std::size(kInputs); ++k) {
      const auto type = info.GetInputTypeInfo(k).GetTensorTypeAndShapeInfo().GetElementType();
      if (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 && type != ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64)
        throw std::invalid_argument(op_ + ": " + kNames[k] + " must be int64 or uint64");
    }
    shape_ = attributes.integers("shape", 0, 1, kMaxValues, {});
    for (const int64_t size : shape_)
      if (__builtin_mul_overflow(elements_, size, &elements_) || elements_ > kMaxValues)
        throw std::invalid_argument(op_ + ": shape is " + text(shape_) + ", too many values for a sample");
    stream_ = static_cast<uint32_t>(attributes.integer("stream", 0, 0xFFFFFFFF, 0));
  }

  // draw(seed, stream, range, threads, out)
  template <class Draw>
  void fill(const Ort::KernelContext& context, Draw draw) const {
    uint64_t numbers[3];
    for (size_t k = 0; k < 3; ++k) numbers[k] = scalar(context, k, op_ + ": " + kNames[k]);
    const auto [seed, start, count] = numbers;
    if (count > static_cast<uint64_t>(kMaxValues / elements_))
      throw std::invalid_argument(op_ + ": " + std::to_string(count) + " samples of " + text(shape_) +
                                  " are too many for one run; at most " + std::to_string(kMaxValues / elements_));
    if (count && start + (count - 1) < start)
      throw std::invalid_argument(op_ + ": samples from " + std::to_string(start) + " go past the last number");
    Dimensions shape = {static_cast<int64_t>(count)};
    shape.insert(shape.end(), shape_.begin(), shape_.end());
    auto out = context.GetOutput(0, shape);
    draw(seed, stream_, RandomShape{start, count, static_cast<uint64_t>(elements_)}, host_threads(context),
         out.GetTensorMutableData<float>());
  }

 private:
  static constexpr const char* kNames[] = {"seed", "start", "count"};

  std::string op_;
  Dimensions shape_;
  int64_t elements_ = 1;
  uint32_t stream_ = 0;
};

class PhiloxNormal : public Philox {
 public:
  static constexpr const char* kName = "PhiloxNormal";
  explicit PhiloxNormal(const Ort::ConstKernelInfo& info) : Philox(info, Attributes(info, kName)) {}
  void compute(const Ort::KernelContext& context) const { fill(context, random_normal); }
};

class PhiloxUniform : public Philox {
 public:
  static constexpr const char* kName = "PhiloxUniform";

  explicit PhiloxUniform(const Ort::ConstKernelInfo& info) : Philox(info, Attributes(info, kName)) {
    const Attributes attributes(info, kName);
    low_ = attributes.number("low", 0.0f);
    const float high = attributes.number("high", 1.0f);
    span_ = static_cast<float>(static_cast<double>(high) - low_);
    if (!(low_ < high) || !std::isfinite(span_))
      throw std::invalid_argument(std::string(kName) + ": low and high make no range; low must be below high");
  }

  void compute(const Ort::KernelContext& context) const {
    fill(context, [this](uint64_t seed, uint32_t stream, const RandomShape& range, const Threads& threads, float* out) {
      random_uniform(seed, stream, range, low_, span_, threads, out);
    });
  }

 private:
  float low_, span_;
};

}  // namespace

const OrtCustomOp* philox_normal_op() { return operator_of<PhiloxNormal>(); }
const OrtCustomOp* philox_uniform_op() { return operator_of<PhiloxUniform>(); }

}  // namespace ort
}  // namespace dsb
