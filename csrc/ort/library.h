// The operators of domain dsb_fast, one function a file.
#pragma once

#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#undef ORT_API_MANUAL_INIT

namespace dsb {
namespace ort {

// The newest API that this library calls: ONNX Runtime 1.17 has it, and so has every later one.
constexpr uint32_t kApiVersion = 17;

const OrtCustomOp* pulse2pulse_op();

}  // namespace ort
}  // namespace dsb
