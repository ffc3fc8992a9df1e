// The convolution of StyleGAN2 (Karras et al., CVPR 2020, eq. 1 and 3), with resampling and its epilogue.
#pragma once

#include "ops/bias_act.h"
#include "ops/image_conv.h"
#include "ops/upfirdn2d.h"

namespace dsb {

constexpr int64_t kMostColours = 4;

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
  const float* residual = nullptr;    // [N, out channels, H, W], added last
  bool x_per_sample = true;           // false: x is one image for all samples
  bool styles_per_sample = true;      // false: styles is [1, in channels], for all samples
  ActivationOptions activation = {Activation::linear, 0.0f, 1.0f, -1.0f};
  // Where count is not 0, the result is the image that a layer of one point without demodulation makes of this one's
  // (to_rgb), [N, count, H, W], with its bits: at most kMostColours of at most WinogradWeights::kBlock channels. styles
  // are [N, out channels], the residual is like the result.
  Colours colours = {};
  bool enlarged = false;                  // upsample_bilinear2d of x is convolved; padding is counted on that
  bool blocked = false;                   // x is a blocked image, as a layer with blocked_result makes it
  bool blocked_result = false;            // the result is a blocked image (kernels.h), what another such layer reads
  bool bfloat16_products = false;         // of 3 x 3 taps on float32 images, as ImageConv::bfloat16
  const ConvWeights* prepared = nullptr;  // of this weight; null: made in every call
};

// Shape of the result, whether it is blocked or not. Throws std::invalid_argument, naming what does not fit.
Shape4 modulated_conv2d_shape(const Shape4& x, const ModulatedConv& conv);

// Values of the largest tensor on the way to the result, its own too, as saturated_size counts; throws alike.
int64_t modulated_conv2d_largest(const Shape4& x, const ModulatedConv& conv);

// styles is [N, in channels]; out has modulated_conv2d_shape(...) and may not be the residual.
void modulated_conv2d(const float* x, const Shape4& shape, const float* weight, const float* styles,
                      const ModulatedConv& conv, const Threads& threads, float* out);

// The same in bfloat16: the scaled and resampled activations are rounded once, before the products; sums, demodulation
// (of the weights as given) and what follows, the residual too, are float32; the result is rounded once, at the end.
void modulated_conv2d(const bfloat16* x, const Shape4& shape, const bfloat16* weight, const float* styles,
                      const ModulatedConv& conv, const Threads& threads, bfloat16* out);

}  // namespace dsb
