// The table of kernels that each variant fills; csrc/ops/ is the only caller.
//
// Kernels are single-threaded, allocate nothing and check nothing: the caller has checked sizes and types. Outputs need
// no alignment and may not overlap inputs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dsb {

// A run of `elements` values of one sample's flattened tensor, beginning at element 4 * first_block.
struct PhiloxRange {
  uint64_t seed;
  uint64_t index;  // absolute sample number
  uint32_t stream;
  uint32_t first_block;
  uint64_t elements;
};

// One plane of upfirdn2d: zeros are inserted, the plane is padded (or cropped, where negative), filtered with `taps` as
// a correlation, and every down-th point is kept, beginning with the first.
struct UpfirdnPlane {
  int64_t in_height, in_width, out_height, out_width;
  int64_t up_y, up_x, down_y, down_x;
  int64_t pad_top, pad_left;
  int64_t taps_height, taps_width;
};

enum class Activation { linear, relu, lrelu, tanh, sigmoid, elu, selu, softplus, swish };

struct ActivationOptions {
  Activation kind;
  float alpha;  // slope of lrelu below 0
  float gain;
  float clamp;  // the result stays within +-clamp; negative for no clamp
};

// One output plane of a convolution without padding, stride 1.
struct ConvPlane {
  int64_t in_channels, in_height, in_width, out_height, out_width;
  int64_t kernel_height, kernel_width;
  bool flip;  // a true convolution: the weights are read backwards
};

// The upper half of a float32: its sign, exponent and first seven bits of fraction.
using bfloat16 = uint16_t;
// Two bfloat16 that are multiplied and added together, the first in the low half.
using bfloat16_pair = uint32_t;
// Output channels that a bfloat16 convolution computes side by side.
constexpr int64_t kPairBlock = 4;

// Output channels that a convolution computes side by side; weights are packed in blocks of so many.
constexpr int64_t kChannelBlock = 5;

// A one-dimensional convolution on a group of samples, one sample a vector lane. A row is one channel: positions, each
// of Kernels::lanes floats. Rows are `in_row` and `out_row` floats apart. Output t reads positions t * stride to t *
// stride + taps - 1 from where x points, and lands out_step positions after output t - 1.
struct LaneConv {
  int64_t in_channels, out_channels, taps, stride;
  int64_t in_row, out_row, out_step, count;
  Activation activation;  // linear, relu or lrelu
  float slope;
};

struct Kernels {
  const char* name;
  size_t lanes;  // floats in a vector
  // out[e] = low + span * u(e), u uniform in [0, 1) with 24 bits; product and sum rounded one after the other.
  void (*philox_uniform)(const PhiloxRange& range, float low, float span, float* out);
  // Box-Muller in float64, rounded to float32.
  void (*philox_normal)(const PhiloxRange& range, float* out);
  // out[e] = trunc(signal[e] * scale), saturated to int16; false if any product is not a number.
  bool (*microvolt)(const float* signal, size_t count, float scale, int16_t* out);
  // out = gain * filtered(x); taps are added row by row, left to right, into one accumulator an output.
  void (*upfirdn2d)(const UpfirdnPlane& plane, const float* x, const float* taps, float gain, float* out);
  // out[e] = clamp(gain * activation(x[e] + bias[e * bias_step])); bias_step is 0 or 1. out may be x.
  void (*bias_act)(const float* x, size_t count, const float* bias, size_t bias_step, const ActivationOptions& options,
                   float* out);
  // out[y, x] = sum over channels, rows and columns in this order of weight * x, one accumulator an output.
  void (*conv2d)(const ConvPlane& plane, const float* x, const float* weight, float* out);
  // packed: for each block of kChannelBlock output channels (the last may be smaller) the weights of its channels side
  // by side, for input channel after input channel and tap after tap. An accumulator begins with the bias and adds the
  // products in that order.
  void (*conv1d_lanes)(const LaneConv& conv, const float* x, const float* packed, const float* bias, float* out);
  // out[e] = x[e] * factor (+ addend[e] if not null), product and sum as the variant's madd. out may be x.
  void (*scale_add)(const float* x, size_t count, float factor, const float* addend, float* out);
  // Rounded to nearest, ties to even; not a number becomes the quiet one of its sign.
  void (*round_bf16)(const float* x, size_t count, bfloat16* out);
  // Exact.
  void (*widen_bf16)(const bfloat16* x, size_t count, float* out);
  // Two channels, rounded, side by side; `second` is null behind an odd number of channels, for zeros.
  void (*pair_bf16)(const float* first, const float* second, size_t count, bfloat16_pair* out);
  // As conv2d, but `out_channels` planes at once, at most kPairBlock, on pairs of input channels: x is [pairs,
  // in_height, in_width] and readable for `lanes` more; packed has the output channels' weights side by side, for pair
  // after pair and tap after tap. float32 accumulators; of a pair the second product is added first. out is
  // [out_channels, out_height, out_width].
  void (*conv2d_bf16)(const ConvPlane& plane, int64_t out_channels, const bfloat16_pair* x, const bfloat16_pair* packed,
                      float* out);
  // As conv1d_lanes, on pairs of input channels: a row of x is a pair, `in_row` counts pairs; packed as there, in
  // blocks of kPairBlock output channels and pair after pair. float32 accumulators, bias and activation; sums as
  // conv2d_bf16.
  void (*conv1d_lanes_bf16)(const LaneConv& conv, const bfloat16_pair* x, const bfloat16_pair* packed,
                            const float* bias, float* out);
};

}  // namespace dsb
