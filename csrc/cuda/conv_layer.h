// A layer: StyleGAN2's modulated convolution (Karras et al., CVPR 2020, eq. 1 and 3) with resampling and what follows,
// or a plain convolution of an input that may be repeated on the way, as the ECG network's are.
#pragma once

#include "cuda/conv_pack.h"
#include "cuda/view.h"

namespace dsb {
namespace cuda {

struct ConvLayer {
  View x;                 // [N, in, H, W]
  View weight;            // [out, in, h, w], of any type; its shape alone where it is prepared
  View styles;            // [N, in, 1, 1], of any type; none: no styles, no demodulation
  View noise;             // [N or 1, 1, H', W'], of any type
  View noise_gain, bias;  // [out, 1, 1, 1], of any type
  View residual;          // [N, out, H', W'], of x's type
  View scale;             // [N, out, 1, 1], of any type: y times that is the second result
  int up_x = 1, up_y = 1, down_x = 1, down_y = 1;
  int left = 0, right = 0, top = 0, bottom = 0;  // counted on the enlarged input; the filters' own share included
  ConvFilter filter;
  bool repeat = false;                          // the enlarged input repeats points; else they have zeros between them
  bool demodulate = false, flip_weight = true;  // flip_weight true: correlation
  float style_offset = 0.0f;
  const void* prepared = nullptr;  // of prepare_weights, for a layer of the same type, filter and resampling
  ActivationOptions activation = {Activation::linear, 0.0f, 1.0f, -1.0f};
};

// Shape of the result. Throws std::invalid_argument, naming what does not fit.
Shape4 conv_layer_shape(const ConvLayer& layer);

// What a call makes of the weights alone, so that calls that follow need not: bytes, and the making into memory that is
// aligned to 256. Of x type and channels count.
size_t prepared_weights_size(const ConvLayer& layer);
void prepare_weights(const ConvLayer& layer, void* memory, Stream stream);

// Bytes of device memory that a call works in.
size_t conv_layer_workspace(const ConvLayer& layer);

// y and scaled, which may be without data but not both, have the result's shape, alike steps and x's type; they overlap
// no input but the residual, if it lies as they do. workspace: aligned to 256 bytes, the stream's until it is done.
void conv_layer(const ConvLayer& layer, void* workspace, Stream stream, const View& y, const View& scaled);

}  // namespace cuda
}  // namespace dsb
