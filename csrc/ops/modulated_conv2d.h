// The convolution of StyleGAN2 (Karras et al., CVPR 2020, eq. 1 and 3), with resampling and its epilogue.
#pragma once

#include "ops/bias_act.h"
#include "ops/upfirdn2d.h"

namespace dsb {

struct ModulatedConv {
  Shape4 weight;  // [out channels, in channels, kernel height, kernel width]
  int64_t up = 1, down = 1;
  int64_t left = 0, right = 0, top = 0, bottom = 0;
  std::vector<Filter> filters;  // none, one full filter, or a separable one as row (1 x t) and column (t x 1)
  bool demodulate = true;
  bool flip_weight = true;       // true: correlation, as deep-learning libraries do
  const float* noise = nullptr;  // added before the bias: [N, 1, H, W], or [H, W] for all samples
  bool noise_per_sample = false;
  const float* noise_gain = nullptr;  // [out channels]: the noise is multiplied by it before it is added; null: 1
  float style_offset = 0.0f;          // added to every style first
  const float* bias = nullptr;        // [out channels]
  ActivationOptions activation = {Activation::linear, 0.0f, 1.0f, -1.0f};
};

// Shape of the result. Throws std::invalid_argument, naming what does not fit.
Shape4 modulated_conv2d_shape(const Shape4& x, const ModulatedConv& conv);

// styles is [N, in channels]; out has modulated_conv2d_shape(...).
void modulated_conv2d(const float* x, const Shape4& shape, const float* weight, const float* styles,
                      const ModulatedConv& conv, unsigned threads, float* out);

}  // namespace dsb
