// libdsb_fast_ort.so: what ONNX Runtime's register_custom_ops_library loads, from Python or C++. libdsb_fast.so has the
// same operators inside.
#include "ort/library.h"

#include "ort/operator.h"

namespace dsb {
namespace ort {
namespace {

constexpr const OrtCustomOp* (*kOperators[])() = {
    attention_op,        bias_act_op,
    blur2d_op,           channel_norm_op,
    conv1x1_op,          dense_op,
    depthwise_conv2d_op, feed_forward_op,
    instance_norm_op,    linear_attention_op,
    microvolt_op,        modulated_conv2d_op,
    noise_plane_op,      normalize_latent_op,
    philox_normal_op,    philox_uniform_op,
    pulse2pulse_op,      style_block_op,
    truncate_op,         uint8_image_op,
    upfirdn2d_op,        upsample_bilinear2d_op,
};

}  // namespace

void add_operators(OrtSessionOptions* options) {
  static const Ort::CustomOpDomain domain = [] {
    Ort::CustomOpDomain made("dsb_fast");
    for (const auto& op : kOperators) made.Add(op());
    return made;
  }();
  Ort::UnownedSessionOptions(options).Add(domain);
}

}  // namespace ort
}  // namespace dsb

extern "C" __attribute__((visibility("default"))) OrtStatus* ORT_API_CALL RegisterCustomOps(OrtSessionOptions* options,
                                                                                            const OrtApiBase* base) {
  const OrtApi* api = base->GetApi(dsb::ort::kApiVersion);
  if (!api) return nullptr;  // older than 1.17: the session will say that it does not know the domain
  Ort::InitApi(api);
  return dsb::ort::guarded([&] { dsb::ort::add_operators(options); });
}
