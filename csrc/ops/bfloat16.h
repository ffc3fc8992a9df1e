// Operators on bfloat16 arrays (the bits, as kernels.h has them) that compute in float32 and round once, at the end.
#pragma once

#include "ops/bias_act.h"
#include "ops/upfirdn2d.h"

namespace dsb {

// Rounded to nearest, ties to even.
void round_bf16(const float* x, int64_t count, const Threads& threads, bfloat16* out);

// As for float32; the bias is float32. out may be x.
void bias_act(const bfloat16* x, int64_t outer, int64_t channels, int64_t inner, const float* bias,
              const ActivationOptions& options, const Threads& threads, bfloat16* out);

// Float32 between the steps; out has upfirdn2d_shape(in, steps).
void upfirdn2d(const bfloat16* x, const Shape4& in, const FilterSteps& steps, const Threads& threads, bfloat16* out);

}  // namespace dsb
