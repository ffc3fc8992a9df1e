#include "ops/conv1d.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "ops/conv_bf16.h"
#include "ops/dispatch.h"

namespace dsb {
namespace {

int64_t floor_divide(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// Weights [out][in][taps] in blocks of output channels, the block's channels side by side.
std::vector<float> pack(const std::vector<float>& weight, int64_t out_channels, int64_t sum_length) {
  std::vector<float> packed(weight.size());
  float* to = packed.data();
  for (int64_t o = 0; o < out_channels; o += kChannelBlock) {
    const int64_t width = std::min(kChannelBlock, out_channels - o);
    const float* from = weight.data() + o * sum_length;
    for (int64_t k = 0; k < sum_length; ++k)
      for (int64_t b = 0; b < width; ++b) *to++ = from[b * sum_length + k];
  }
  return packed;
}

}  // namespace

LaneBlock::LaneBlock(int64_t channels, int64_t length, int64_t halo, int64_t lanes)
    : channels_(channels),
      length_(length),
      halo_(halo),
      lanes_(lanes),
      row_((length + 2 * halo) * lanes),
      memory_(static_cast<size_t>(channels * row_), 0.0f) {}

LaneView LaneBlock::view(int64_t first_channel, int64_t channels) {
  return {memory_.data() + first_channel * row_ + halo_ * lanes_, row_, channels, length_};
}

Conv1dLayer::Conv1dLayer(const Conv1dSpec& spec, const float* weight, const float* bias)
    : spec_(spec), bias_(bias, bias + spec.out_channels) {
  if (spec.in_channels < 1 || spec.out_channels < 1 || spec.taps < 1 || spec.stride < 1 || spec.repetition < 1 ||
      spec.padding < 0)
    throw std::invalid_argument("conv1d: channels, taps, stride and repetition must be at least 1, padding 0");
  if (spec.stride > 1 && spec.repetition > 1)
    throw std::invalid_argument("conv1d: a layer has a stride or a repetition, not both");
  if (spec.activation != Activation::linear && spec.activation != Activation::relu &&
      spec.activation != Activation::lrelu && spec.activation != Activation::tanh)
    throw std::invalid_argument("conv1d: the activation must be linear, relu, lrelu or tanh");
  const int64_t rows = spec.out_channels * spec.in_channels;
  for (int64_t phase = 0; phase < spec.repetition; ++phase) {
    const int64_t first = floor_divide(phase - spec.padding, spec.repetition);
    const int64_t last = floor_divide(phase + spec.taps - 1 - spec.padding, spec.repetition);
    const int64_t taps = last - first + 1;
    std::vector<size_t> slot;  // of each tap: the input point that it meets
    for (int64_t tap = 0; tap < spec.taps; ++tap)
      slot.push_back(static_cast<size_t>(floor_divide(phase + tap - spec.padding, spec.repetition) - first));
    std::vector<float> folded(static_cast<size_t>(rows * taps));
    std::vector<double> sums(static_cast<size_t>(taps));
    for (int64_t row = 0; row < rows; ++row) {
      std::fill(sums.begin(), sums.end(), 0.0);
      const float* from = weight + row * spec.taps;
      for (size_t tap = 0; tap < slot.size(); ++tap) sums[slot[tap]] += from[tap];
      float* to = folded.data() + row * taps;
      for (size_t tap = 0; tap < sums.size(); ++tap) to[tap] = static_cast<float>(sums[tap]);
    }
    phases_.push_back({first, taps, {}, {}});
    if (spec.bfloat16) {
      std::vector<bfloat16> rounded(folded.size());
      kernels().round_bf16(folded.data(), folded.size(), rounded.data());
      phases_.back().pairs = packed_pairs(rounded.data(), {spec.out_channels, spec.in_channels, 1, taps});
    } else {
      phases_.back().packed = pack(folded, spec.out_channels, spec.in_channels * taps);
    }
  }
}

int64_t Conv1dLayer::out_length(int64_t length) const {
  const int64_t room = length * spec_.repetition + 2 * spec_.padding - spec_.taps;
  if (room < 0) throw std::invalid_argument("conv1d: " + std::to_string(length) + " points are too few for this layer");
  return room / spec_.stride + 1;
}

int64_t Conv1dLayer::phase_count(int64_t phase, int64_t length) const {
  return (out_length(length) - phase + spec_.repetition - 1) / spec_.repetition;
}

int64_t Conv1dLayer::halo(int64_t length) const {
  int64_t most = 0;
  for (int64_t phase = 0; phase < spec_.repetition; ++phase) {
    const Phase& p = phases_[static_cast<size_t>(phase)];
    const int64_t last = (phase_count(phase, length) - 1) * spec_.stride + p.first + p.taps - 1;
    most = std::max({most, -p.first, last - (length - 1)});
  }
  return most;
}

LaneConv Conv1dLayer::lane_conv(const Phase& phase, int64_t in_row, int64_t out_row, int64_t count) const {
  return {spec_.in_channels,
          spec_.out_channels,
          phase.taps,
          spec_.stride,
          in_row,
          out_row,
          spec_.repetition,
          count,
          spec_.activation == Activation::tanh ? Activation::linear : spec_.activation,
          spec_.slope};
}

void Conv1dLayer::run(const LaneView& in, const LaneView& out) const {
  const Kernels& k = kernels();
  const int64_t lanes = static_cast<int64_t>(k.lanes);
  for (int64_t phase = 0; phase < spec_.repetition && !spec_.bfloat16; ++phase) {
    const Phase& p = phases_[static_cast<size_t>(phase)];
    k.conv1d_lanes(lane_conv(p, in.row, out.row, phase_count(phase, in.length)), in.first + p.first * lanes,
                   p.packed.data(), bias_.data(), out.first + phase * lanes);
  }
  if (spec_.bfloat16) run_bf16(in, out);
  if (spec_.activation != Activation::tanh) return;
  const float none = 0.0f;
  const ActivationOptions options = {Activation::tanh, 0.0f, 1.0f, -1.0f};
  for (int64_t c = 0; c < out.channels; ++c) {
    float* row = out.first + c * out.row;
    k.bias_act(row, static_cast<size_t>(out.length * lanes), &none, 0, options, row);
  }
}

void to_lanes(const float* x, int64_t count, const LaneView& out, int64_t lanes) {
  for (int64_t c = 0; c < out.channels; ++c)
    for (int64_t lane = 0; lane < lanes; ++lane) {
      float* to = out.first + c * out.row + lane;
      const float* from = x + (lane * out.channels + c) * out.length;
      for (int64_t t = 0; t < out.length; ++t) to[t * lanes] = lane < count ? from[t] : 0.0f;
    }
}

void from_lanes(const LaneView& in, int64_t count, int64_t lanes, float* x) {
  for (int64_t lane = 0; lane < count; ++lane)
    for (int64_t c = 0; c < in.channels; ++c) {
      const float* from = in.first + c * in.row + lane;
      float* to = x + (lane * in.channels + c) * in.length;
      for (int64_t t = 0; t < in.length; ++t) to[t] = from[t * lanes];
    }
}

}  // namespace dsb
