#include "ops/bias_act.h"

#include "ops/dispatch.h"

namespace dsb {

void bias_act(const float* x, int64_t outer, int64_t channels, int64_t inner, const float* bias,
              const ActivationOptions& options, const Threads& threads, float* out) {
  static const float kNone = 0.0f;
  const Kernels& k = kernels();
  if (inner == 1 && bias) {  // the bias runs along the values
    parallel_for(static_cast<uint64_t>(outer), threads, [&](uint64_t task) {
      k.bias_act(x + task * channels, static_cast<size_t>(channels), bias, 1, options, out + task * channels);
    });
    return;
  }
  parallel_for(static_cast<uint64_t>(outer * channels), threads, [&](uint64_t task) {
    const float* b = bias ? bias + task % channels : &kNone;
    k.bias_act(x + task * inner, static_cast<size_t>(inner), b, 0, options, out + task * inner);
  });
}

}  // namespace dsb
