// The operators of domain dsb_fast: one file an operator or a pair, one row in library.cc each.
#pragma once

#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#undef ORT_API_MANUAL_INIT

namespace dsb {
namespace ort {

// The newest API that this library calls: ONNX Runtime 1.17 has it, and so has every later one.
constexpr uint32_t kApiVersion = 17;

const OrtCustomOp* bias_act_op();
const OrtCustomOp* microvolt_op();
const OrtCustomOp* modulated_conv2d_op();
const OrtCustomOp* philox_normal_op();
const OrtCustomOp* philox_uniform_op();
const OrtCustomOp* pulse2pulse_op();
const OrtCustomOp* upfirdn2d_op();

}  // namespace ort
}  // namespace dsb
