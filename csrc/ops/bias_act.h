// Bias, activation, gain and clamp in one pass.
#pragma once

#include "core/threads.h"
#include "kernels/kernels.h"

namespace dsb {

// x and out are [outer, channels, inner]; bias has `channels` values, or is null. out may be x.
void bias_act(const float* x, int64_t outer, int64_t channels, int64_t inner, const float* bias,
              const ActivationOptions& options, const Threads& threads, float* out);

}  // namespace dsb
