// Two modulated convolutions of 3 x 3 taps, one after the other: what a size of StyleGAN2's images is made of.
#pragma once

#include "ops/modulated_conv2d.h"

namespace dsb {

// The first layer's result is the second's image; it is never whole in memory where it can stay in the cache. Weights,
// styles and what else the layers have are those of two calls of modulated_conv2d; so are the bits. Both keep the size,
// which is a multiple of kBlockedSide, but for an image that the first one enlarges.
struct StyleBlock {
  ModulatedConv first, second;
  const float *first_weight, *second_weight;
  const float *first_styles, *second_styles;
};

// Shape of the result. Throws std::invalid_argument, naming what does not fit.
Shape4 style_block_shape(const Shape4& x, const StyleBlock& block);

// out has style_block_shape(...) values.
void style_block(const float* x, const Shape4& shape, const StyleBlock& block, const Threads& threads, float* out);

}  // namespace dsb
