// ToMicrovolt and ToUint8: what leaves the device, with the roundings of Microvolt and Uint8Image. A device can't raise
// an error for a value that is not a number: it becomes 0, and the second output, which may be left out, counts them.
//
// ToMicrovolt. Input: signal [N, C, L], or [N, L, C] with channels_last; other axes may stand among those of L.
// Attributes: scale, channels_last (0). Outputs: int16 [N, C, L]; not_numbers int32 [1].
// ToUint8. Input: image [N, H, W, C], or [N, C, H, W] with layout "NCHW". Attributes: scale, offset, layout. Outputs:
// uint8 [N, H, W, C]; not_numbers int32 [1].
#include <stdexcept>

#include "cuda/ort/library.h"
#include "cuda/ort/operator.h"
#include "cuda/ort/tensors.h"

namespace dsb {
namespace cuda {
namespace {

constexpr DeviceOutput kCount = {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, INPUT_OUTPUT_OPTIONAL};

template <Type type>
class ToMicrovolt {
 public:
  static constexpr const char* kName = "ToMicrovolt";
  static constexpr DeviceInput kInputs[] = {{element(type)}};
  static constexpr DeviceOutput kOutputs[] = {{ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16}, kCount};

  explicit ToMicrovolt(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    scale_ = attributes.number("scale", {});
    channels_last_ = attributes.flag("channels_last", false);
  }

  void compute(const Ort::KernelContext& context) const {
    const DeviceTensor signal = device_input(context, kName, 0, "signal");
    const Image shape = image_of(kName, "signal", signal.shape, !channels_last_);
    const int64_t length = shape.h * shape.w;
    void* out = output_data(context, 0, {shape.n, shape.c, length});
    void* count = output_data(context, 1, {1});
    to_microvolt(signal.array, shape.n, shape.c, length, channels_last_, scale_, stream_of(context),
                 static_cast<int16_t*>(out), static_cast<int32_t*>(count));
  }

 private:
  float scale_;
  bool channels_last_;
};

template <Type type>
class ToUint8 {
 public:
  static constexpr const char* kName = "ToUint8";
  static constexpr DeviceInput kInputs[] = {{element(type)}};
  static constexpr DeviceOutput kOutputs[] = {{ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8}, kCount};

  explicit ToUint8(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    scale_ = attributes.number("scale", {});
    offset_ = attributes.number("offset", {});
    channels_first_ = channels_first(attributes);
  }

  void compute(const Ort::KernelContext& context) const {
    const DeviceTensor image = device_input(context, kName, 0, "image");
    const Image shape = image4_of(kName, "image", image.shape, channels_first_);
    void* out = output_data(context, 0, {shape.n, shape.h, shape.w, shape.c});
    void* count = output_data(context, 1, {1});
    to_uint8(image.array, shape, scale_, offset_, stream_of(context), static_cast<uint8_t*>(out),
             static_cast<int32_t*>(count));
  }

 private:
  float scale_, offset_;
  bool channels_first_;
};

}  // namespace

void add_conversions(Ort::CustomOpDomain& domain) {
  domain.Add(device_operator<ToMicrovolt<Type::float32>>());
  domain.Add(device_operator<ToMicrovolt<Type::float16>>());
  domain.Add(device_operator<ToMicrovolt<Type::bfloat16>>());
  domain.Add(device_operator<ToUint8<Type::float32>>());
  domain.Add(device_operator<ToUint8<Type::float16>>());
  domain.Add(device_operator<ToUint8<Type::bfloat16>>());
}

}  // namespace cuda
}  // namespace dsb
