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

enum class Activation { linear, relu, lrelu, tanh, sigmoid, elu, selu, softplus, swish, gelu };

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

// A product of matrices in C order, rows a_row, b_row and out_row floats apart.
struct MatrixProduct {
  int64_t rows, columns, terms;
  int64_t a_row, b_row, out_row;
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
  // out[r, c] = sum over t ascending of a[r, t] * b[t, c], one accumulator an output, beginning with 0.
  void (*matmul)(const MatrixProduct& product, const float* a, const float* b, float* out);
  // The largest x[e] * scale; -infinity for none.
  float (*row_maximum)(const float* x, size_t count, float scale);
  // out[e * out_step] = exp(x[e] * scale - maximum).
  void (*exp_row)(const float* x, size_t count, float scale, float maximum, float* out, size_t out_step);
  // out[r, c] = factor * softmax over the rows r of x[r, c] * scale, the largest subtracted first; sums by row
  // ascending.
  void (*softmax_columns)(const float* x, int64_t rows, int64_t row, int64_t columns, float scale, float factor,
                          float* out, int64_t out_row);
  // Twice the height and width: weights 3/4 and 1/4, the border's missing neighbour is the border.
  void (*bilinear_up2)(const float* x, int64_t height, int64_t width, float* out);
  // [1, 2, 1] x [1, 2, 1] / 16, reflected at the edges; a single row or column is its own neighbour.
  void (*blur2d)(const float* x, int64_t height, int64_t width, float* out);
  // out[c, e] = (x[c, e] - mean) / sqrt(variance + eps) * gain[c] + bias[c], mean and population variance over c, for
  // `count` positions e; channels are `channel` floats apart.
  void (*channel_norm)(const float* x, int64_t channels, int64_t channel, int64_t count, const float* gain,
                       const float* bias, float eps, float* out);
  // out[e, c] = x[c, e] * scale + offset, product and sum each rounded, held to 0..255 and cut down; false if any
  // result is not a number. x is [channels, pixels].
  bool (*grey_levels)(const float* x, int64_t channels, int64_t pixels, float scale, float offset, uint8_t* out);
};

}  // namespace dsb
