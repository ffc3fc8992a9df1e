// Bias, activation, gain and clamp in one pass.
#pragma once

#include <string>

#include "core/threads.h"
#include "kernels/kernels.h"

namespace dsb {

// The activation of that name with StyleGAN2-ADA's slope and gain and without clamp. Throws std::invalid_argument if
// there is none, with a text that begins with `what`.
ActivationOptions activation(const std::string& what, const std::string& name);

// x and out are [outer, channels, inner]; bias has `channels` values, or is null. out may be x.
void bias_act(const float* x, int64_t outer, int64_t channels, int64_t inner, const float* bias,
              const ActivationOptions& options, const Threads& threads, float* out);

}  // namespace dsb
