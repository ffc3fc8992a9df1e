// Layers from their weights: checked, folded or taken to the evaluation points, and packed.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "ops/conv1d.h"
#include "ops/conv1d_sizes.h"
#include "ops/conv_bf16.h"
#include "ops/dispatch.h"

namespace dsb {
namespace {

constexpr int kPoints = 8;
constexpr double kFiniteOf4x5[] = {0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5};
constexpr const double* kPairs = kPairsOf6x5;
constexpr double kFiniteOf6x5[] = {0.0,       kPairs[0],  -kPairs[0], kPairs[1], -kPairs[1],
                                   kPairs[2], -kPairs[2], kPairs[3],  -kPairs[3]};

// Up to five taps at `finite` points, each divided by the product of its point's distances from the others,
// and at infinity.
void at_points(const double* taps, const double* points, int finite, double* out) {
  for (int p = 0; p < finite; ++p) {
    double value = 0.0, distances = 1.0;
    for (int j = 4; j >= 0; --j) value = value * points[p] + taps[j];
    for (int other = 0; other < finite; ++other)
      if (other != p) distances *= points[p] - points[other];
    out[p] = value / distances;
  }
  out[finite] = taps[4];
}

// Up to 13 taps at the 40 points: groups of 4, 4 and 5, and those at 0, 1, -1, kOuterPoint and infinity.
void at_nested_points(const double* taps, double* out) {
  double group[3][kPoints];
  for (int g = 0; g < 3; ++g) {
    double five[5] = {};
    std::copy(taps + 4 * g, taps + 4 * g + (g == 2 ? 5 : 4), five);
    at_points(five, kFiniteOf4x5, kPoints - 1, group[g]);
  }
  for (int p = 0; p < kPoints; ++p) {
    const double a = group[0][p], b = group[1][p], c = group[2][p];
    constexpr double q = kOuterPoint;
    out[p] = a / q;
    out[kPoints + p] = (a + b + c) / (2.0 * (1.0 - q));
    out[2 * kPoints + p] = (a - b + c) / (-2.0 * (1.0 + q));
    out[3 * kPoints + p] = (a + q * b + q * q * c) / (q * (q * q - 1.0));
    out[4 * kPoints + p] = c;
  }
}

void check(const Conv1dSpec& spec) {
  if (spec.in_channels < 1 || spec.out_channels < 1 || spec.taps < 1 || spec.stride < 1 || spec.repetition < 1 ||
      spec.padding < 0)
    throw std::invalid_argument("conv1d: channels, taps, stride and repetition must be at least 1, padding 0");
  if (spec.stride > 1 && spec.repetition > 1)
    throw std::invalid_argument("conv1d: a layer has a stride or a repetition, not both");
  if (spec.activation != Activation::linear && spec.activation != Activation::relu &&
      spec.activation != Activation::lrelu && spec.activation != Activation::tanh)
    throw std::invalid_argument("conv1d: the activation must be linear, relu, lrelu or tanh");
  const bool nested = spec.algorithm == Algorithm::toom12x13;
  if (spec.algorithm == Algorithm::direct || spec.algorithm == Algorithm::bfloat16) return;
  if (ceil_divide(spec.taps, std::max(spec.stride, spec.repetition)) > (nested ? 13 : 5))
    throw std::invalid_argument("conv1d: " + std::to_string(spec.taps) + " taps are too many for this algorithm");
  if (spec.repetition != 1 && spec.repetition != 2 && spec.repetition != 5)
    throw std::invalid_argument("conv1d: Toom-Cook layers repeat 1, 2 or 5 times");
}

}  // namespace

Conv1dLayer::Conv1dLayer(const Conv1dSpec& spec) : spec_(spec) {
  check(spec);
  if (by_points()) return;
  const int64_t channel = padded(spec.out_channels) * spec.in_channels;
  for (int64_t phase = 0, at = 0; phase < spec.repetition; ++phase) {
    const int64_t first = floor_divide(phase - spec.padding, spec.repetition);
    const int64_t last = floor_divide(phase + spec.taps - 1 - spec.padding, spec.repetition);
    phases_.push_back({first, last - first + 1, at, {}});
    at += channel * phases_.back().taps;
  }
}

int64_t Conv1dLayer::packed_size(const Conv1dSpec& spec) {
  const Conv1dLayer layer(spec);
  const int64_t rows = padded(spec.out_channels);
  if (layer.by_points()) return rows * spec.repetition * layer.points() * spec.stride * spec.in_channels + rows;
  int64_t taps = 0;
  for (const Phase& phase : layer.phases_) taps += phase.taps;
  return rows * spec.in_channels * taps + rows;
}

Conv1dLayer::Conv1dLayer(const Conv1dSpec& spec, const float* packed) : Conv1dLayer(spec) {
  if (spec.algorithm == Algorithm::bfloat16)
    throw std::invalid_argument("conv1d: bfloat16 layers are not packed in advance");
  packed_ = packed;
  set_bias(packed + packed_size(spec) - padded(spec.out_channels));
}

Conv1dLayer::Conv1dLayer(const Conv1dSpec& spec, const float* weight, const float* bias) : Conv1dLayer(spec) {
  const int64_t size = packed_size(spec);
  own_.reset(new float[static_cast<size_t>(size)]());
  packed_ = own_.get();
  by_points() ? pack_toom(weight) : pack_direct(weight);
  float* to = own_.get() + size - padded(spec.out_channels);
  std::copy(bias, bias + spec.out_channels, to);
  set_bias(to);
}

void Conv1dLayer::set_bias(const float* bias) {
  bias_ = bias;
  for (int64_t o = 0; o < spec_.out_channels; ++o) bias_lanes_.insert(bias_lanes_.end(), kernels().lanes, bias[o]);
}

void Conv1dLayer::pack_direct(const float* weight) {
  for (int64_t number = 0; number < spec_.repetition; ++number) {
    Phase& phase = phases_[static_cast<size_t>(number)];
    const size_t taps = static_cast<size_t>(phase.taps);
    std::vector<size_t> slot;  // of each tap: the input point that it meets
    for (int64_t tap = 0; tap < spec_.taps; ++tap)
      slot.push_back(static_cast<size_t>(floor_divide(number + tap - spec_.padding, spec_.repetition) - phase.first));
    std::vector<float> folded(static_cast<size_t>(spec_.out_channels * spec_.in_channels) * taps);
    std::vector<double> sums(taps);
    for (int64_t row = 0; row < spec_.out_channels * spec_.in_channels; ++row) {
      std::fill(sums.begin(), sums.end(), 0.0);
      const float* from = weight + row * spec_.taps;
      for (size_t tap = 0; tap < slot.size(); ++tap) sums[slot[tap]] += from[tap];
      float* to = folded.data() + static_cast<size_t>(row) * taps;
      for (size_t tap = 0; tap < taps; ++tap) to[tap] = static_cast<float>(sums[tap]);
    }
    const int64_t sum_length = spec_.in_channels * phase.taps;
    if (spec_.algorithm == Algorithm::bfloat16) {
      std::vector<bfloat16> rounded(folded.size());
      kernels().round_bf16(folded.data(), folded.size(), rounded.data());
      phase.pairs = packed_pairs(rounded.data(), {spec_.out_channels, spec_.in_channels, 1, phase.taps});
      continue;
    }
    for (int64_t o = 0; o < spec_.out_channels; ++o) {
      float* to = own_.get() + phase.at + o / kChannelBlock * sum_length * kChannelBlock + o % kChannelBlock;
      const float* from = folded.data() + o * sum_length;
      for (int64_t c = 0; c < spec_.in_channels; ++c)
        for (int64_t tap = 0; tap < phase.taps; ++tap)
          to[(tap * spec_.in_channels + c) * kChannelBlock] = from[c * phase.taps + tap];
    }
  }
}

void Conv1dLayer::pack_toom(const float* weight) {
  const bool nested = spec_.algorithm == Algorithm::toom12x13;
  const double* finite = spec_.algorithm == Algorithm::toom6x5 ? kFiniteOf6x5 : kFiniteOf4x5;
  const int64_t factor = std::max(spec_.stride, spec_.repetition), channels = spec_.in_channels;
  const int64_t slab = spec_.stride * channels * kChannelBlock, block = spec_.repetition * points() * slab;
  for (int64_t o = 0; o < spec_.out_channels; ++o)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t part = 0; part < factor; ++part) {  // a signal of a stride, a filter of a repetition
        double taps[13] = {}, values[5 * kPoints];
        const float* from = weight + (o * channels + c) * spec_.taps;
        for (int64_t tap = part, j = 0; tap < spec_.taps; tap += factor, ++j) taps[j] = from[tap];
        nested ? at_nested_points(taps, values) : at_points(taps, finite, static_cast<int>(points()) - 1, values);
        const int64_t filter = spec_.repetition > 1 ? part : 0, signal = spec_.repetition > 1 ? 0 : part;
        float* to = own_.get() + o / kChannelBlock * block + filter * points() * slab +
                    (signal * channels + c) * kChannelBlock + o % kChannelBlock;
        for (int64_t p = 0; p < points(); ++p) to[p * slab] = static_cast<float>(values[p]);
      }
}

}  // namespace dsb
