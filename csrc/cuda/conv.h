// Convolutions as implicit matrix products: one or two dimensions, any taps, strides and enlargement, styles applied to
// what is read, and an epilogue to what is written. Sums are float32, one accumulator an output, made in the same order
// whatever the batch and the tiles (matrix units add 16 products at a time).
#pragma once

#include "cuda/conv_epilogue.h"
#include "cuda/conv_geometry.h"
#include "cuda/conv_pack.h"
#include "cuda/kernels.h"

namespace dsb {
namespace cuda {

template <typename T>
struct ConvCall {
  ConvGeometry geometry;
  const T* x;
  const T* packed;      // of PackWeights
  const float* styles;  // [N, in]: x is multiplied by them, the product rounded to T; null: 1
  ConvEpilogue<T> epilogue;

  // x as it is multiplied, 0 outside the input.
  DSB_HD float input(const ConvPoint& origin, int k) const {
    int channel;
    int64_t offset;
    if (!geometry.source(origin, k, &channel, &offset)) return 0.0f;
    const float value = to_float(x[offset]);
    return styles ? rounded<T>(value * styles[static_cast<int64_t>(origin.n) * geometry.in_channels + channel]) : value;
  }

  // The packed weights of a phase: [depth, padded channels].
  DSB_HD const T* weights(int phase) const {
    return packed + static_cast<int64_t>(phase) * geometry.depth() * geometry.padded_channels;
  }
};

// All arrays lie where the stream's device, or on the host build the processor, reads them; what is written may overlap
// nothing that is read, except the residual where it is y itself. Throws std::runtime_error if a kernel can't start.
template <typename T>
void conv(const ConvCall<T>& call, Stream stream);

template <typename T>
void pack_weights(const PackWeights<T>& pack, Stream stream);

template <typename T>
void square_weights(const WeightSquares<T>& squares, Stream stream);

void prepare_styles(const PrepareStyles& styles, Stream stream);

void demodulate(const Demodulation& demodulation, int64_t batch, Stream stream);

}  // namespace cuda
}  // namespace dsb
