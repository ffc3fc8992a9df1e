// The weights as the implicit matrix product takes them: [phase, tap y, tap x, in channel, packed out channel], with
// the resampling filters folded in, so that a layer with resampling is one convolution. And what styles come to.
#pragma once

#include <cmath>

#include "cuda/conv_geometry.h"
#include "cuda/view.h"

// Loops of few turns whose unrolling costs more registers than there are.
#ifdef __CUDACC__
#define DSB_ROLLED _Pragma("unroll 1")
#else
#define DSB_ROLLED
#endif

namespace dsb {
namespace cuda {

template <typename T>
DSB_HD float rounded(float value) {
  return to_float(from_float<T>(value));
}

// A filter [height, width] or, where `separable`, [width] that acts along both axes. The taps travel with the launch.
struct ConvFilter {
  float taps[kMaxTaps] = {1.0f};
  int height = 1, width = 1;
  bool separable = false;
  int times = 0;      // how often it is applied: before (up) and after (down) the convolution
  float gain = 1.0f;  // of all of them together

  // A true convolution: the taps are read from the end.
  DSB_HD float tap(int y, int x) const {
    if (y < 0 || y >= height || x < 0 || x >= width) return 0.0f;
    return separable ? taps[height - 1 - y] * taps[width - 1 - x] : taps[(height - 1 - y) * width + width - 1 - x];
  }

  DSB_HD float at(int y, int x) const {
    if (times == 0) return y == 0 && x == 0 ? 1.0f : 0.0f;
    if (times == 1) return tap(y, x) * gain;
    float sum = 0.0f;
    DSB_ROLLED
    for (int i = 0; i < height; ++i) {
      DSB_ROLLED
      for (int j = 0; j < width; ++j) sum += tap(i, j) * tap(y - i, x - j);
    }
    return sum * gain;
  }
};

// Index: as the packed weights lie. The weights are rounded to T before they are folded, and after.
template <typename T>
struct PackWeights {
  View weight;  // [out, in, height, width]
  bool flip;    // a true convolution
  ConvFilter filter;
  ConvGeometry geometry;
  T* packed;

  uint64_t count() const {
    return static_cast<uint64_t>(geometry.phases()) * geometry.depth() * geometry.padded_channels;
  }

  DSB_HD float weight_at(int out, int in, int64_t y, int64_t x) const {
    const Shape4& s = weight.shape;
    return rounded<T>(weight.at(out, in, flip ? s.h - 1 - y : y, flip ? s.w - 1 - x : x));
  }

  // The weight of one point of the enlarged input.
  DSB_HD float folded(int out, int in, int y, int x) const {
    if (filter.times == 0) return weight_at(out, in, y, x);
    float sum = 0.0f;
    DSB_ROLLED
    for (int i = 0; i < weight.shape.h; ++i) {
      DSB_ROLLED
      for (int j = 0; j < weight.shape.w; ++j) sum += weight_at(out, in, i, j) * filter.at(y - i, x - j);
    }
    return sum;
  }

  DSB_HD void operator()(uint32_t index) const {
    const ConvGeometry& g = geometry;
    auto rest = index;
    const auto take = [&rest](int size) {
      const auto at = static_cast<int>(rest % static_cast<uint32_t>(size));
      rest /= static_cast<uint32_t>(size);
      return at;
    };
    const int out = take(g.padded_channels), in = take(g.in_channels), tap_x = take(g.x.taps), tap_y = take(g.y.taps);
    const ConvPhase phase = g.phase(static_cast<int>(rest));
    float sum = 0.0f;
    if (out < g.out_channels) {
      int y_from, y_to, x_from, x_to;
      g.y.weights_of(phase.y, tap_y, &y_from, &y_to);
      g.x.weights_of(phase.x, tap_x, &x_from, &x_to);
      DSB_ROLLED
      for (int y = y_from; y < y_to; ++y) {
        DSB_ROLLED
        for (int x = x_from; x < x_to; ++x) sum += folded(out, in, y, x);
      }
    }
    packed[index] = from_float<T>(sum);
  }
};

// Sums of squares of the weights of an input and an output channel: [in, out].
template <typename T>
struct WeightSquares {
  View weight;
  float* squares;

  uint64_t count() const { return static_cast<uint64_t>(weight.shape.n) * weight.shape.c; }

  DSB_HD void operator()(uint32_t index) const {
    const auto channels = static_cast<uint32_t>(weight.shape.n);
    const uint32_t out = index % channels, in = index / channels;
    float sum = 0.0f;
    for (int y = 0; y < weight.shape.h; ++y)
      for (int x = 0; x < weight.shape.w; ++x) {
        const float value = rounded<T>(weight.at(out, in, y, x));
        sum += value * value;
      }
    squares[index] = sum;
  }
};

// Styles [N, in] plus an offset, divided by the power of two next above the largest of a sample where `normalize`: so
// products of float16 stay within its range. Index: sample and channel; each looks for the largest itself, which costs
// less than waiting for one that does.
struct PrepareStyles {
  View styles;  // [N, in, 1, 1]
  float offset;
  bool normalize;
  float* prepared;  // [N, in]
  float* divisors;  // [N]

  DSB_HD float style(int64_t n, int64_t i) const { return styles.at(n, i, 0, 0) + offset; }

  DSB_HD float divisor(int64_t n) const {
    float largest = 0.0f;
    for (int64_t i = 0; i < styles.shape.c; ++i) {
      const float value = style(n, i), size = value < 0.0f ? -value : value;
      largest = size > largest ? size : largest;
    }
    float divisor = 1.0f;
    if (largest < 1e30f) {  // what is all but infinite stays so
      while (divisor < largest) divisor *= 2.0f;
      while (divisor * 0.5f >= largest && divisor > 1e-30f) divisor *= 0.5f;
    }
    return divisor;
  }

  DSB_HD void operator()(uint32_t index) const {
    const auto channels = static_cast<uint32_t>(styles.shape.c);
    const uint32_t n = index / channels, i = index % channels;
    const float by = normalize ? divisor(n) : 1.0f;
    prepared[index] = style(n, i) / by;
    if (i == 0) divisors[n] = by;
  }
};

// The factors of the output channels, [N, out]: 1 / sqrt(sum of (weight * style)^2 + 1e-8), or 1, times what the styles
// were divided by. Index: sample and channel.
struct Demodulation {
  const float* prepared;
  const float* divisors;
  const float* squares;  // null: no demodulation
  int in_channels, out_channels;
  float* factors;

  DSB_HD void operator()(uint32_t index) const {
    const auto channels = static_cast<uint32_t>(out_channels);
    const uint32_t n = index / channels, out = index % channels;
    float sum = 0.0f;
    if (squares)
      for (int64_t i = 0; i < in_channels; ++i) {
        const float style = prepared[n * static_cast<int64_t>(in_channels) + i] * divisors[n];
        sum += style * style * squares[i * out_channels + out];
      }
    factors[index] = squares ? divisors[n] / sqrtf(sum + 1e-8f) : divisors[n];
  }
};

}  // namespace cuda
}  // namespace dsb
