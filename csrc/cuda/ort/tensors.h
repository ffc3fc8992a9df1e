// Tensors of a session on the device, and what the operators say of their shapes.
#pragma once

#include <string>

#include "cuda/ort/operator.h"

namespace dsb {
namespace cuda {

// Of float32, float16 or bfloat16; nothing where the node leaves the input out.
struct DeviceTensor {
  Array array;
  Dimensions shape;
  int64_t count = 0;
  explicit operator bool() const { return array.data != nullptr || count > 0; }
};

// Throws std::invalid_argument, naming operator and input, for another element type.
DeviceTensor device_input(const Ort::KernelContext& context, const std::string& op, size_t index, const char* name);

// Attribute layout, "NHWC" if it is missing, or "NCHW".
bool channels_first(const Attributes& attributes);

// x as images; any rank from 3 on, all between N and C, or after both, being pixels. Throws std::invalid_argument.
Image image_of(const std::string& op, const char* name, const Dimensions& shape, bool channels_first);

// The same, with a rank of 4.
Image image4_of(const std::string& op, const char* name, const Dimensions& shape, bool channels_first);

// `tensor` as rows of `size` values, for each of `n` samples or one for all; `needed` says that in words. Throws
// std::invalid_argument for another number of values.
Rows rows_of(const std::string& op, const char* name, const DeviceTensor& tensor, int64_t size, int64_t n,
             const char* needed);

// The device memory of an output; null where the node leaves it out, or it has no values.
void* output_data(const Ort::KernelContext& context, size_t index, const Dimensions& shape);

}  // namespace cuda
}  // namespace dsb
