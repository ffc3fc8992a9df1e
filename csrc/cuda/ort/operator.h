// What the operators for GPUs share, as csrc/ort/operator.h for the CPU's. A kernel is a class with kName,
// `static constexpr DeviceInput kInputs[]`, `static constexpr DeviceOutput kOutputs[]`, a constructor from
// Ort::ConstKernelInfo and `void compute(const Ort::KernelContext&) const`; both may throw.
//
// The provider is the build's: CUDA, or the CPU for tests. Operators of one name and several element types are several
// rows of the library.
#pragma once

#include "cuda/kernels.h"
#include "ort/attributes.h"
#include "ort/operator.h"
#include "ort/tensors.h"

namespace dsb {
namespace cuda {

using ort::Attributes;
using ort::Dimensions;

#ifdef DSB_CUDA_HOST
constexpr const char* kProvider = "CPUExecutionProvider";
#else
constexpr const char* kProvider = "CUDAExecutionProvider";
#endif

constexpr ONNXTensorElementDataType kAny = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;

struct DeviceInput {
  ONNXTensorElementDataType type;  // kAny: the kernel looks
  OrtCustomOpInputOutputCharacteristic presence = INPUT_OUTPUT_REQUIRED;
  OrtMemType memory = OrtMemTypeDefault;
};

struct DeviceOutput {
  ONNXTensorElementDataType type;
  OrtCustomOpInputOutputCharacteristic presence = INPUT_OUTPUT_REQUIRED;
};

constexpr ONNXTensorElementDataType element(Type type) {
  return type == Type::float32   ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
         : type == Type::float16 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16
                                 : ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16;
}

template <class Kernel>
struct DeviceOperator : Ort::CustomOpBase<DeviceOperator<Kernel>, ort::Guarded<Kernel>, true> {
  DeviceOperator() { OrtCustomOp::version = ort::kApiVersion; }

  OrtStatusPtr CreateKernelV2(const OrtApi&, const OrtKernelInfo* info, void** kernel) const noexcept {
    return ort::guarded([&] { *kernel = new ort::Guarded<Kernel>(info); });
  }
  const char* GetName() const { return Kernel::kName; }
  const char* GetExecutionProviderType() const { return kProvider; }
  size_t GetInputTypeCount() const { return std::size(Kernel::kInputs); }
  ONNXTensorElementDataType GetInputType(size_t index) const { return Kernel::kInputs[index].type; }
  OrtCustomOpInputOutputCharacteristic GetInputCharacteristic(size_t index) const {
    return Kernel::kInputs[index].presence;
  }
  OrtMemType GetInputMemoryType(size_t index) const { return Kernel::kInputs[index].memory; }
  size_t GetOutputTypeCount() const { return std::size(Kernel::kOutputs); }
  ONNXTensorElementDataType GetOutputType(size_t index) const { return Kernel::kOutputs[index].type; }
  OrtCustomOpInputOutputCharacteristic GetOutputCharacteristic(size_t index) const {
    return Kernel::kOutputs[index].presence;
  }
};

template <class Kernel>
const OrtCustomOp* device_operator() {
  static const DeviceOperator<Kernel> made;
  return &made;
}

inline Stream stream_of(const Ort::KernelContext& context) {
#ifdef DSB_CUDA_HOST
  static_cast<void>(context);
  return nullptr;
#else
  return context.GetGPUComputeStream();
#endif
}

}  // namespace cuda
}  // namespace dsb
