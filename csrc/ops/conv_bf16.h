// The sums of a two-dimensional convolution in bfloat16 with float32 accumulators.
#pragma once

#include <vector>

#include "core/threads.h"
#include "kernels/kernels.h"
#include "ops/tensor.h"

namespace dsb {

// weight [out channels, in channels, height, width] as the kernels read it: blocks of kPairBlock output channels, a
// block's channels side by side, for each pair of input channels and each tap.
std::vector<bfloat16_pair> packed_pairs(const bfloat16* weight, const Shape4& shape);

// x [in channels, in height, in width] is rounded to bfloat16; packed from packed_pairs; out is [out_channels, out
// height, out width].
void conv2d_bf16(const ConvPlane& plane, const float* x, const std::vector<bfloat16_pair>& packed, int64_t out_channels,
                 const Threads& threads, float* out);

}  // namespace dsb
