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

// One plane of a separable filter of kFilterTaps taps along each axis, as a correlation: along x, then along y, as two
// calls of upfirdn2d would. up and down are 1 or 2, not both 2.
constexpr int64_t kFilterTaps = 4;
struct FilterPlane {
  int64_t in_height, in_width, out_height, out_width;
  int64_t up, down;
  int64_t pad_top, pad_left;
  int64_t row;  // floats from a filtered row to the next, at least out_width as a multiple of 32
};
// filter_planes collects at least so many results before it writes them around the caches.
constexpr int64_t kFilterStream = 2048;

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

// Channels of a weight block: what stands side by side in packed weights.
constexpr int64_t kChannelBlock = 16;

// The one-dimensional layers keep a channel's positions in one of two layouts, which give the same bits:
//   lanes:    a sample a vector lane; a unit is one channel, its positions are vectors one after the other
//   channels: one sample; a unit is a vector of neighbouring channels
// Distances are in floats.

// Sums of products, out[row][tile] = sum over k of weight[k][row] * v[tile][k], one accumulator an output, k ascending:
// over the runs in their order, over `count` elements of each, over `taps`. Weights lie in blocks of kChannelBlock
// rows, `weight_step` apart from element to element and `weight_tap` from tap to tap. In layout channels that may be
// `series` such products, of other values, weights or both.
struct Run {
  int64_t offset, count, step;
};
struct Product {
  const Run* runs;
  int64_t run_count;
  int64_t taps, tap_step, weight_step, weight_tap;
  int64_t tiles, tile_step;
  int64_t rows, out_row, out_tile;
  int64_t series = 1, v_series = 0, weight_series = 0, out_series = 0;
};

// Toom-Cook convolutions of one dimension: a tile of outputs from sums of products at evaluation points.
//   f4x5:  F(4,5), points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity; 4 outputs from 8 inputs, up to 5 taps
//   f6x5:  F(6,5), points 0, +-3/8, +-7/8, +-5/4, +-5/2 and infinity; 6 outputs from 10 inputs
//   f12x13: F(3,3) of F(4,5), taps in groups of 4, 4 and up to 5, themselves at 0, 1, -1, kOuterPoint and infinity; 12
//          outputs from 24 inputs, 40 points
enum class Toom { f4x5, f6x5, f12x13 };
constexpr double kOuterPoint = -2.0;
constexpr double kPairsOf6x5[4] = {0.375, 0.875, 1.25, 2.5};  // found by search: a quarter of the error of 1/2, 1, 2, 4
struct ToomForward {
  Toom kind;
  int64_t units, in_unit, in_step;  // in_step: from one input of a tile to the next
  int64_t tiles, v_unit, v_tile, v_point;
};
// Sums at the points to outputs. With `phases` > 1 the low-rate results S_q of that many filters make
// out[phases * c + d] = sum over q of S_q[c + (d + q >= phases)]; `carry` (units x (phases - 1) vectors) holds what the
// last position of the tiles before has given. Outputs outside [0, length) are not written.
struct ToomInverse {
  Toom kind;
  int64_t units, tiles, phases;
  int64_t m_unit, m_tile;  // filter after filter, a tile's sums at the points lie one behind the other
  int64_t out_unit, out_step, first, length;  // first: the output that belongs to c = 0 of the first tile, d = 0
  Activation activation;                      // linear, relu, lrelu or tanh
  float slope;
};

// The upper half of a float32: its sign, exponent and first seven bits of fraction.
using bfloat16 = uint16_t;
// Two bfloat16 that are multiplied and added together, the first in the low half.
using bfloat16_pair = uint32_t;
// Output channels that a bfloat16 convolution computes side by side.
constexpr int64_t kPairBlock = 4;

// Lags that a correlation computes side by side.
constexpr int64_t kCorrelationLags = 32;

// A one-dimensional convolution on a group of samples, one sample a vector lane. A row is one channel: positions, each
// of Kernels::lanes floats. Rows are `in_row` and `out_row` floats apart. Output t reads positions t * stride to t *
// stride + taps - 1 from where x points, and lands out_step positions after output t - 1.
struct LaneConv {
  int64_t in_channels, out_channels, taps, stride;
  int64_t in_row, out_row, out_step, count;
  Activation activation;  // linear, relu or lrelu
  float slope;
};

// A blocked image has kChannelBlock channels side by side at every position and zeros around each of its planes,
// [block of channels][height + 2][width + 2][channel].
//
// Winograd convolutions of 3 x 3 taps, stride 1: `outputs` x `outputs` results (2 or 4) of a tile from sums of products
// at (outputs + 2)^2 points. Distances are in floats.
//
// Inputs at the points: channels in blocks of kChannelBlock that stand side by side, v[point][block][tile][channel];
// channels from `channels` on are 0.
struct WinogradForward {
  int64_t outputs;
  int64_t channels, channel;  // how many, and from one plane of the image to the next
  int64_t height, width;      // of the image; around it are zeros
  int64_t top, left;          // what the first tile reads first
  int64_t rows, columns;      // of tiles
  int64_t v_point, v_block;
  bool enlarged;  // bilinear_up2 of the image is what the tiles are of; its zeros around it, top and left too
  bool blocked;   // the image is; `channel` is a block's distance, and no tile reads beyond the zeros
};
// out[tile][row] = sum over channels ascending of weight[channel][row] * v[block][tile][channel], one accumulator an
// output. rows is a multiple of kChannelBlock.
struct WinogradProduct {
  int64_t channels, v_block, rows, tiles, out_tile;
};
// What becomes of results that only make colours: sum over the layer's channels ascending of weight[colour][channel] *
// (style[channel] * y[channel]), then + residual[colour] if not null.
struct Colours {
  int64_t count = 0;
  const float *weight = nullptr, *styles = nullptr, *residual = nullptr;
};
// Sums m[tile][point][channel] to outputs within the image.
struct WinogradInverse {
  int64_t outputs;
  int64_t channels, plane;  // how many, and from one plane of the image to the next
  int64_t height, width;
  int64_t top, left;  // the first output of the first tile
  int64_t rows, columns;
  int64_t m_tile, m_point;
  // The result is a blocked image: `plane` is a block's distance, no tile reaches beyond it, and nothing is left to
  // bias_act.
  bool blocked;
  Colours colours;  // where count is not 0, out is their image
};
// Rows of tiles are taken together as long as they have no more than so many.
constexpr int64_t kStripTiles = 32;
// What is done to the sums of a convolution: y = sum * factor + noise * noise_gain, then bias_act, then + residual; all
// but noise and residual are a value a channel. Null: factor and noise_gain 1, the others 0.
struct ConvEpilogue {
  const float *factor, *noise, *noise_gain, *bias, *residual;
  ActivationOptions activation;
};

// Up-sampling convolutions: zeros between samples, 3 x 3 taps, a filter of kFilterTaps along both axes. Results before
// the filter come from tiles of 3 x 3 samples; what is multiplied is told apart by the weight it meets, kPhaseWeights:
// [one of four points or the middle tap, down][the same across]. Distances are in floats.
constexpr int64_t kPhaseTile = 3, kPhaseSide = 5, kPhaseWeights = kPhaseSide * kPhaseSide;
struct PhaseTiles {
  int64_t channels, channel;           // how many, and from one plane of the image to the next
  int64_t height, width;               // of the image
  int64_t row, column, rows, columns;  // tiles; the first one's first sample is at -1
  // Of every weight the place of these tiles' first value or sum; those of a weight are `step` apart: a tile's after
  // the other where it is a point along both axes, in C order, and where it is the middle tap along one or both, as
  // many along it as there are samples for these tiles.
  int64_t at[kPhaseWeights];
  int64_t step;
  int64_t block[4];  // of the values, to the next kChannelBlock channels, for [middle tap down][across]
};
// The filter: rows of results, of the channels of one block, each from four rows `pitch` apart.
struct PhaseFilter {
  float taps_y[kFilterTaps], taps_x[kFilterTaps];  // as a correlation
  int64_t channels, plane;
  int64_t row, rows, width;  // of the result
  int64_t pitch;
};

// A product of matrices in C order, rows a_row, b_row and out_row floats apart.
struct MatrixProduct {
  int64_t rows, columns, terms;
  int64_t a_row, b_row, out_row;
};

// A product of matrices that are in the caches, sum[r][e] = start[r] + sum over t ascending of a[t][r] * b[t][e], one
// accumulator an output, and what becomes of out[r][e]:
//   replace:    sum
//   lrelu:      sum, or slope * sum below 0
//   add_scaled: out + sum * factors[e]
//   rescale:    out * factors[e] + sum
// columns is a multiple of kChannelBlock. Distances are in floats.
enum class Join { replace, lrelu, add_scaled, rescale };
struct PanelProduct {
  int64_t rows, columns, terms;
  int64_t a_row, a_term, b_term, out_row;
  Join join = Join::replace;
  float slope = 0.0f;
};

struct Kernels {
  const char* name;
  size_t lanes;  // floats in a vector
  // out[e] = low + span * u(e), u uniform in [0, 1) with 24 bits; product and sum rounded one after the other.
  void (*philox_uniform)(const PhiloxRange& range, float low, float span, float* out);
  // The same for samples range.index, range.index + 1, ...: a sample a lane, element after element.
  void (*philox_uniform_lanes)(const PhiloxRange& range, float low, float span, float* out);
  // Box-Muller in float64, rounded to float32.
  void (*philox_normal)(const PhiloxRange& range, float* out);
  // out[e] = trunc(signal[e] * scale), saturated to int16; false if any product is not a number.
  bool (*microvolt)(const float* signal, size_t count, float scale, int16_t* out);
  // The same of `length` vectors with a sample a lane; sample l's values go to out + l * out_sample, for l < samples.
  bool (*microvolt_lanes)(const float* signal, int64_t length, float scale, int64_t samples, int64_t out_sample,
                          int16_t* out);
  // out = gain * filtered(x); taps are added row by row, left to right, into one accumulator an output.
  void (*upfirdn2d)(const UpfirdnPlane& plane, const float* x, const float* taps, float gain, float* out);
  // The same bits for what FilterPlane can say, planes one after the other. `past_cache`: out is written around the
  // caches. memory: kFilterTaps + 2 rows and kFilterStream + 16 floats.
  void (*filter_planes)(const FilterPlane& plane, int64_t planes, const float* x, const float* taps_x,
                        const float* taps_y, float gain, bool past_cache, float* memory, float* out);
  // out[e] = clamp(gain * activation(x[e] + bias[e * bias_step])); bias_step is 0 or 1. out may be x.
  void (*bias_act)(const float* x, size_t count, const float* bias, size_t bias_step, const ActivationOptions& options,
                   float* out);
  // out[y, x] = sum over channels, rows and columns in this order of weight * x, one accumulator an output.
  void (*conv2d)(const ConvPlane& plane, const float* x, const float* weight, float* out);
  // Output channels of such convolutions at positions of the flattened plane: out[o * out_row + e] is the sum for x +
  // e, in which rows are in_width apart; weights [out channels][in channels][taps]. x and the rows of out are readable
  // and writable for a vector more than `count`.
  void (*direct2d)(const ConvPlane& plane, int64_t out_channels, const float* x, const float* weight, int64_t count,
                   float* out, int64_t out_row);
  // factors[k] = 1 / sqrt(sum over c of styles[c]^2 * energies[c][k] + 1e-8), for kChannelBlock outputs k.
  void (*demodulation)(const double* energies, int64_t channels, const float* styles, float* factors);
  // x times `factors`, a number a channel (null: 1), to the points. strip: memory for (outputs + 2) rows of `columns`
  // tiles, vectors.
  void (*winograd_forward)(const WinogradForward& winograd, const float* x, const float* factors, float* strip,
                           float* v);
  void (*winograd_product)(const WinogradProduct& product, const float* v, const float* weight, float* out);
  // strip: memory for the outputs of the larger of kStripTiles and `columns` tiles and one more, vectors.
  void (*winograd_inverse)(const WinogradInverse& winograd, const ConvEpilogue& epilogue, const float* m, float* strip,
                           float* out);
  // x times `factors`, a number a channel (null: 1), to the points. strip: memory for four rows of `columns` tiles,
  // vectors.
  void (*phase_forward)(const PhaseTiles& tiles, const float* x, const float* factors, float* strip, float* v);
  // Sums of kChannelBlock channels to six rows a tile, `pitch` apart, channels side by side.
  void (*phase_inverse)(const PhaseTiles& tiles, const float* m, int64_t pitch, float* out);
  // strip: memory for kStripTiles and two rows of `width` positions and kChannelBlock more, vectors. out and the
  // epilogue begin with the block's first channel.
  void (*phase_filter)(const PhaseFilter& filter, const ConvEpilogue& epilogue, const float* x, float* strip,
                       float* out);
  // v and out in layout lanes: a weight is one number for all lanes. rows is at most kChannelBlock.
  void (*product_lanes)(const Product& product, const float* v, const float* weight, float* out);
  // v and out in layout channels: v[tile][k] is one number, kChannelBlock rows of the result lie side by side.
  void (*product_channels)(const Product& product, const float* v, const float* weight, float* out);
  void (*toom_forward)(const ToomForward& toom, const float* x, float* v);
  // bias: a vector a unit, added to the result before the activation.
  void (*toom_inverse)(const ToomInverse& toom, const float* m, const float* bias, float* carry, float* out);
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
  // start: null for zeros. factors: of add_scaled and rescale.
  void (*panel_product)(const PanelProduct& product, const float* a, const float* b, const float* start,
                        const float* factors, float* out);
  // out[r, e] += x[r, e] * factors[e]; columns is a multiple of kChannelBlock, and both matrices have no gaps.
  void (*add_scaled_columns)(int64_t rows, int64_t columns, const float* x, const float* factors, float* out);
  // Exponentials to base 2 of another panel's rows: x = 2^(x - m), m the largest of `largest` and the column, scale =
  // 2^(largest - m), sums = sums * scale + the column's sum, largest = m. Begins with largest -infinity and sums 0.
  // columns is a multiple of kChannelBlock; x has no gaps.
  void (*exp2_columns)(int64_t rows, int64_t columns, float* x, float* largest, float* sums, float* scale);
  // As panel_product with a pair of bfloat16 a term, of which the second product is added first; terms and the
  // distances of a and b count pairs.
  void (*panel_product_bf16)(const PanelProduct& product, const bfloat16_pair* a, const bfloat16_pair* b,
                             const float* start, const float* factors, float* out);
  // As exp2_columns, but x stays: the exponentials are rounded, as out[pair of rows][column], zeros behind an odd row.
  // Sums are of the rounded.
  void (*exp2_columns_bf16)(int64_t rows, int64_t columns, const float* x, float* largest, float* sums, float* scale,
                            bfloat16_pair* out);
  // The mean, or 0 if that is not finite. Sixty-four partial sums, each of every sixty-fourth value, added in order.
  float (*plane_centre)(const float* x, int64_t count);
  // Values of two channels less their centres, rounded, side by side; `second` is null behind an odd number of
  // channels, for zeros. From `count` on zeros, to the next whole kChannelBlock.
  void (*pair_channels)(const float* first, const float* second, int64_t count, float first_centre, float second_centre,
                        bfloat16_pair* out);
  // One channel's, two neighbours a pair. From `count` on zeros, to the next whole 2 * kChannelBlock values.
  void (*pair_positions)(const float* x, int64_t count, float centre, bfloat16_pair* out);
  // Twice the height and width: weights 3/4 and 1/4, the border's missing neighbour is the border.
  void (*bilinear_up2)(const float* x, int64_t height, int64_t width, float* out);
  // [1, 2, 1] x [1, 2, 1] / 16, reflected at the edges; a single row or column is its own neighbour.
  void (*blur2d)(const float* x, int64_t height, int64_t width, float* out);
  // out[c, e] = (x[c, e] - mean) / sqrt(variance + eps) * gain[c] + bias[c], mean and population variance over c, for
  // `count` positions e; channels are `channel` floats apart. `eps_to_deviation`: sqrt(variance) + eps instead.
  void (*channel_norm)(const float* x, int64_t channels, int64_t channel, int64_t count, const float* gain,
                       const float* bias, float eps, bool eps_to_deviation, float* out);
  // out[e] = (x[e] - mean) / sqrt(variance + eps) * gain + bias, mean and population variance over all `count` of them.
  // Sixteen partial sums, each of every sixteenth value, added in order.
  void (*instance_norm)(const float* x, int64_t count, float gain, float bias, float eps, float* out);
  // out[e, c] = x[c, e] * scale + offset, product and sum each rounded, held to 0..255 and cut down; false if any
  // result is not a number. x is [channels, pixels].
  bool (*grey_levels)(const float* x, int64_t channels, int64_t pixels, float scale, float offset, uint8_t* out);
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
  // The same in one dimension, a sample a lane: a row of x is a pair of channels, `in_row` counts pairs; packed in
  // blocks of kPairBlock output channels, pair after pair and tap after tap. An accumulator begins with the bias.
  // float32 accumulators, bias and activation; sums as conv2d_bf16.
  void (*conv1d_lanes_bf16)(const LaneConv& conv, const bfloat16_pair* x, const bfloat16_pair* packed,
                            const float* bias, float* out);
  // As winograd_forward, values rounded; v_point and v_block count bfloat16.
  void (*winograd_forward_bf16)(const WinogradForward& winograd, const float* x, const float* factors, float* strip,
                                bfloat16* v);
  // As winograd_product on pairs of input channels, weight[pair][row]; of a pair the second product is added first.
  void (*winograd_product_bf16)(const WinogradProduct& product, const bfloat16* v, const bfloat16_pair* weight,
                                float* out);
  // sums[e] += (x[e + apart] - x[e])^2
  void (*add_squared_steps)(const int16_t* x, int64_t count, int64_t apart, int64_t* sums);
  // How many of x are at most `limit`.
  int64_t (*count_at_most)(const int32_t* x, int64_t count, int32_t limit);
  // The smaller of each two in `low`, the larger in `high`.
  void (*order_rows)(int32_t* low, int32_t* high, int64_t count);
  // out[lag] = sum over rows r and columns c ascending of x[r * row + lag + c] * pattern[r * columns + c], for
  // kCorrelationLags lags, all of them readable.
  void (*correlate)(const double* x, int64_t rows, int64_t row, const double* pattern, int64_t columns, double* out);
};

}  // namespace dsb
