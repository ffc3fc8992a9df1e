// PhiloxUniform and PhiloxNormal: the random numbers of samples start to start + count - 1 (docs/identity.md).
//
// Inputs: seed, start, count, one int64 or uint64 each, not negative, in host memory. Attributes: shape of a sample;
// stream (0); channels_last (0): a sample of [C, ...] is written as [..., C], the same numbers; PhiloxUniform also low
// (0) and high (1). Output: float32 [count, *shape], or [count, *shape[1:], shape[0]].
//
// PhiloxUniformDevice and PhiloxNormalDevice have count as an attribute, and read seed and start in device memory when
// they run: a captured CUDA graph that is played again makes the samples of the numbers that stand there then. They
// are not checked.
#include <cmath>
#include <stdexcept>

#include "cuda/ort/library.h"
#include "cuda/ort/operator.h"
#include "cuda/ort/tensors.h"

namespace dsb {
namespace cuda {
namespace {

constexpr int64_t kMaxValues = int64_t{1} << 30;  // of one run: shape and even count may be a file's word
constexpr const char* kNumbers[] = {"seed", "start", "count"};

uint64_t number(const Ort::KernelContext& context, const std::string& op, size_t index) {
  const std::string what = op + ": " + kNumbers[index];
  const Ort::ConstValue value = context.GetInput(index);
  const auto info = value.GetTensorTypeAndShapeInfo();
  if (info.GetDimensionsCount() > 1 || info.GetElementCount() != 1)
    throw std::invalid_argument(what + " is " + ort::text(info.GetShape()) + ", needs one number");
  if (info.GetElementType() == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64) return *value.GetTensorData<uint64_t>();
  const int64_t signed_number = *value.GetTensorData<int64_t>();
  if (signed_number < 0)
    throw std::invalid_argument(what + " is " + std::to_string(signed_number) + "; it can't be negative");
  return static_cast<uint64_t>(signed_number);
}

// Where a number of the device's memory lies; its one value is not looked at.
const uint64_t* number_at(const Ort::KernelContext& context, const std::string& op, size_t index) {
  const Ort::ConstValue value = context.GetInput(index);
  const auto info = value.GetTensorTypeAndShapeInfo();
  if (info.GetElementCount() != 1)
    throw std::invalid_argument(op + ": " + kNumbers[index] + " is " + ort::text(info.GetShape()) +
                                ", needs one number");
  return static_cast<const uint64_t*>(value.GetTensorRawData());
}

// What a sample looks like, and its numbers' range.
class Sample {
 public:
  Sample(const Ort::ConstKernelInfo& info, const char* op, size_t numbers) : attributes_(info, op) {
    for (size_t k = 0; k < numbers; ++k) {
      const auto type = info.GetInputTypeInfo(k).GetTensorTypeAndShapeInfo().GetElementType();
      if (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 && type != ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64)
        throw std::invalid_argument(attributes_.op() + ": " + kNumbers[k] + " must be int64 or uint64");
    }
    shape_ = attributes_.integers("shape", 0, 1, kMaxValues, {});
    int64_t elements = 1;
    for (const int64_t size : shape_)
      if (__builtin_mul_overflow(elements, size, &elements) || elements > kMaxValues)
        throw std::invalid_argument(attributes_.op() + ": shape is " + ort::text(shape_) +
                                    ", too many values for a sample");
    random_.elements = static_cast<uint64_t>(elements);
    random_.stream = static_cast<uint32_t>(attributes_.integer("stream", 0, 0xFFFFFFFF, 0));
    if (!attributes_.flag("channels_last", false)) return;
    random_.channels = static_cast<uint64_t>(shape_.front());
    shape_.push_back(shape_.front());
    shape_.erase(shape_.begin());
  }

  const Attributes& attributes() const { return attributes_; }

  Random of(uint64_t count) const {
    Random random = random_;
    random.count = count;
    if (count > static_cast<uint64_t>(kMaxValues) / random.elements)
      throw std::invalid_argument(attributes_.op() + ": " + std::to_string(count) + " samples of " + ort::text(shape_) +
                                  " are too many for one run; at most " +
                                  std::to_string(static_cast<uint64_t>(kMaxValues) / random.elements));
    return random;
  }

  Dimensions shape(uint64_t count) const {
    Dimensions shape = {static_cast<int64_t>(count)};
    shape.insert(shape.end(), shape_.begin(), shape_.end());
    return shape;
  }

 private:
  Attributes attributes_;
  Dimensions shape_;
  Random random_;
};

struct Normal {
  explicit Normal(const Attributes&) {}
  void operator()(const Random& random, Stream stream, float* out) const { philox_normal(random, stream, out); }
};

struct Uniform {
  explicit Uniform(const Attributes& attributes) : low(attributes.number("low", 0.0f)) {
    const float high = attributes.number("high", 1.0f);
    span = static_cast<float>(static_cast<double>(high) - low);
    if (!(low < high) || !std::isfinite(span))
      throw std::invalid_argument(attributes.op() + ": low and high make no range; low must be below high");
  }
  void operator()(const Random& random, Stream stream, float* out) const {
    philox_uniform(random, low, span, stream, out);
  }
  float low, span;
};

template <class Numbers>
constexpr const char* kNames[2] = {"PhiloxNormal", "PhiloxNormalDevice"};
template <>
constexpr const char* kNames<Uniform>[2] = {"PhiloxUniform", "PhiloxUniformDevice"};

template <class Numbers>
class Philox {
 public:
  static constexpr const char* kName = kNames<Numbers>[0];
  static constexpr DeviceInput kInputs[] = {{kAny, INPUT_OUTPUT_REQUIRED, OrtMemTypeCPUInput},
                                            {kAny, INPUT_OUTPUT_REQUIRED, OrtMemTypeCPUInput},
                                            {kAny, INPUT_OUTPUT_REQUIRED, OrtMemTypeCPUInput}};
  static constexpr DeviceOutput kOutputs[] = {{ort::kFloat}};

  explicit Philox(const Ort::ConstKernelInfo& info) : sample_(info, kName, 3), numbers_(sample_.attributes()) {}

  void compute(const Ort::KernelContext& context) const {
    const uint64_t count = number(context, kName, 2);
    Random random = sample_.of(count);
    random.seed = number(context, kName, 0), random.start = number(context, kName, 1);
    if (count && random.start + (count - 1) < random.start)
      throw std::invalid_argument(std::string(kName) + ": samples from " + std::to_string(random.start) +
                                  " go past the last number");
    void* out = output_data(context, 0, sample_.shape(count));
    numbers_(random, stream_of(context), static_cast<float*>(out));
  }

 private:
  Sample sample_;
  Numbers numbers_;
};

template <class Numbers>
class PhiloxDevice {
 public:
  static constexpr const char* kName = kNames<Numbers>[1];
  static constexpr DeviceInput kInputs[] = {{kAny}, {kAny}};
  static constexpr DeviceOutput kOutputs[] = {{ort::kFloat}};

  explicit PhiloxDevice(const Ort::ConstKernelInfo& info)
      : sample_(info, kName, 2),
        numbers_(sample_.attributes()),
        count_(static_cast<uint64_t>(sample_.attributes().integer("count", 0, kMaxValues, {}))) {
    sample_.of(count_);
  }

  void compute(const Ort::KernelContext& context) const {
    Random random = sample_.of(count_);
    random.seed_at = number_at(context, kName, 0), random.start_at = number_at(context, kName, 1);
    void* out = output_data(context, 0, sample_.shape(count_));
    numbers_(random, stream_of(context), static_cast<float*>(out));
  }

 private:
  Sample sample_;
  Numbers numbers_;
  uint64_t count_;
};

}  // namespace

void add_philox(Ort::CustomOpDomain& domain) {
  domain.Add(device_operator<Philox<Normal>>());
  domain.Add(device_operator<Philox<Uniform>>());
  domain.Add(device_operator<PhiloxDevice<Normal>>());
  domain.Add(device_operator<PhiloxDevice<Uniform>>());
}

}  // namespace cuda
}  // namespace dsb
