// One-dimensional convolution layers, strided or after repetition of each point, on groups of samples (a sample a
// lane).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/kernels.h"

namespace dsb {

// Channels of one group somewhere in memory: channel c, position t begins at first + c * row + t * lanes. What a layer
// reads before position 0 and behind the last must be there and zero.
struct LaneView {
  float* first;
  int64_t row, channels, length;
};

// A group's channels with a zeroed halo of positions on both sides.
class LaneBlock {
 public:
  LaneBlock(int64_t channels, int64_t length, int64_t halo, int64_t lanes);
  LaneView view() { return view(0, channels_); }
  LaneView view(int64_t first_channel, int64_t channels);

 private:
  int64_t channels_, length_, halo_, lanes_, row_;
  std::vector<float> memory_;
};

struct Conv1dSpec {
  int64_t in_channels, out_channels, taps, padding;
  int64_t stride = 1, repetition = 1;  // one of them is 1
  Activation activation = Activation::linear;
  float slope = 0.0f;
  bool bfloat16 = false;  // weights and input are rounded to bfloat16; sums, bias and activation stay float32
};

// A layer with its weights packed for the kernels. Repetition is folded in: taps that meet the same input point are
// added, in float64 and in their order, so each of the `repetition` phases keeps about taps / repetition of them.
class Conv1dLayer {
 public:
  // weight [out channels, in channels, taps], bias [out channels]. Throws std::invalid_argument for sizes that make no
  // layer.
  Conv1dLayer(const Conv1dSpec& spec, const float* weight, const float* bias);

  const Conv1dSpec& spec() const { return spec_; }
  // Length of the result; throws std::invalid_argument if there would be none.
  int64_t out_length(int64_t length) const;
  // Zero positions needed on either side of an input of this length.
  int64_t halo(int64_t length) const;
  // in must have its halo; out is written within its length.
  void run(const LaneView& in, const LaneView& out) const;

 private:
  struct Phase {
    int64_t first, taps;  // offset of the first input point, and how many
    std::vector<float> packed;
    std::vector<bfloat16_pair> pairs;  // instead of packed, for a bfloat16 layer
  };
  int64_t phase_count(int64_t phase, int64_t length) const;
  LaneConv lane_conv(const Phase& phase, int64_t in_row, int64_t out_row, int64_t count) const;
  void run_bf16(const LaneView& in, const LaneView& out) const;

  Conv1dSpec spec_;
  std::vector<Phase> phases_;
  std::vector<float> bias_;
};

// [count][channels][length] to and from lanes; lanes from `count` on are zero.
void to_lanes(const float* x, int64_t count, const LaneView& out, int64_t lanes);
void from_lanes(const LaneView& in, int64_t count, int64_t lanes, float* x);

}  // namespace dsb
