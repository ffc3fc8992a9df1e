// The operators of domain dsb_fast: one file an operator or a few that are alike, one row in library.cc each.
#pragma once

#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#undef ORT_API_MANUAL_INIT

namespace dsb {
namespace ort {

// The newest API that this library calls: ONNX Runtime 1.17 has it, and so has every later one.
constexpr uint32_t kApiVersion = 17;

// Gives a session the operators. The C++ interface of ONNX Runtime's headers must have been initialised; may throw.
void add_operators(OrtSessionOptions* options);

const OrtCustomOp* attention_op();
const OrtCustomOp* bias_act_op();
const OrtCustomOp* blur2d_op();
const OrtCustomOp* channel_norm_op();
const OrtCustomOp* conv1x1_op();
const OrtCustomOp* dense_op();
const OrtCustomOp* depthwise_conv2d_op();
const OrtCustomOp* feed_forward_op();
const OrtCustomOp* instance_norm_op();
const OrtCustomOp* linear_attention_op();
const OrtCustomOp* microvolt_op();
const OrtCustomOp* modulated_conv2d_op();
const OrtCustomOp* noise_plane_op();
const OrtCustomOp* normalize_latent_op();
const OrtCustomOp* philox_normal_op();
const OrtCustomOp* philox_uniform_op();
const OrtCustomOp* pulse2pulse_op();
const OrtCustomOp* style_block_op();
const OrtCustomOp* truncate_op();
const OrtCustomOp* uint8_image_op();
const OrtCustomOp* upfirdn2d_op();
const OrtCustomOp* upsample_bilinear2d_op();

}  // namespace ort
}  // namespace dsb
