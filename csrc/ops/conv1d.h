// One-dimensional convolution layers, strided or after repetition of each point: many samples at once, one a vector
// lane, or one sample with its channels side by side. Both give the same bits.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/large_memory.h"
#include "kernels/kernels.h"

namespace dsb {

enum class Layout { lanes, channels };

// Channels of some samples in memory. A unit (kernels.h) is one channel, or a vector of them; `runs` says where the
// channels lie among the units. Position t of unit u begins at first + u * unit + t * step. What a layer reads before
// position 0 and behind the last must be there and zero.
struct ChannelView {
  Layout layout;
  float* first;
  int64_t unit, step, units, length;
  std::vector<Run> runs;
};

// Channels with a zeroed halo of positions on both sides. Two groups of channels may be put side by side.
class ChannelBlock {
 public:
  // `copies` of all that, equally far apart.
  ChannelBlock(Layout layout, int64_t channels, int64_t more_channels, int64_t length, int64_t halo,
               int64_t copies = 1);
  ChannelView view(int64_t copy = 0) { return part(copy, 0, 2); }
  ChannelView first_group(int64_t copy = 0) { return part(copy, 0, 1); }
  ChannelView second_group(int64_t copy = 0) { return part(copy, 1, 2); }

 private:
  ChannelView part(int64_t copy, int begin, int end);

  Layout layout_;
  int64_t channels_[2], units_[2], length_, halo_, unit_, step_, copy_;
  LargeVector memory_;
};

// How a layer is computed: part of the arithmetic, so never a matter of the machine or the batch.
//   direct    products of weights and inputs
//   toom4x5   F(4,5), for up to 5 taps a filter (taps / stride or taps / repetition, rounded up)
//   toom6x5   F(6,5), likewise
//   toom12x13  F(3,3) of F(4,5), for up to 13
//   bfloat16  direct, weights and input rounded to bfloat16; sums, bias and activation stay float32; layout lanes only
enum class Algorithm { direct, toom4x5, toom6x5, toom12x13, bfloat16 };

struct Conv1dSpec {
  int64_t in_channels, out_channels, taps, padding;
  int64_t stride = 1, repetition = 1;  // one of them is 1
  Activation activation = Activation::linear;
  float slope = 0.0f;
  Algorithm algorithm = Algorithm::direct;
};

// Memory that a thread's layers share.
struct Scratch {
  LargeVector points, sums, carry;
};

// A layer with its weights packed for the kernels, blocks of kChannelBlock output channels side by side.
//
// direct: repetition is folded in: taps that meet the same input point are added, in float64 and in their order, so
// each of the `repetition` phases keeps about taps / repetition of them.
// Toom-Cook: a stride splits the input into that many signals, a repetition the taps into that many filters; weights
// at the evaluation points are made in float64 and rounded once.
class Conv1dLayer {
 public:
  // weight [out channels, in channels, taps], bias [out channels]. Throws std::invalid_argument for sizes that make no
  // layer.
  Conv1dLayer(const Conv1dSpec& spec, const float* weight, const float* bias);
  // From what packed() of the same spec gave; `packed` stays the caller's and must outlive the layer.
  Conv1dLayer(const Conv1dSpec& spec, const float* packed);

  // Floats of the packed weights and bias; throws as the constructor does.
  static int64_t packed_size(const Conv1dSpec& spec);
  const float* packed() const { return packed_; }
  const Conv1dSpec& spec() const { return spec_; }
  // Length of the result; throws std::invalid_argument if there would be none.
  int64_t out_length(int64_t length) const;
  // Zero positions needed on either side of an input of this length.
  int64_t halo(int64_t length) const;
  // Each slot's input must have its halo; its output has the same layout and is written within its length. All slots
  // are alike in everything but memory; together they read the weights once.
  struct Slot {
    const ChannelView *in, *out;
  };
  // What one thread does of a layer: some slots, some blocks of output channels, some tiles (Toom-Cook) or positions
  // before repetition (direct).
  struct Part {
    size_t slot, slots;
    int64_t block, blocks, first, count;
  };
  // The whole, for `slots` inputs of this length, in parts for `threads` that work at once; bits never depend on it.
  std::vector<Part> parts(size_t slots, int64_t length, unsigned threads) const;
  void run(const std::vector<Slot>& slots, const Part& part, Scratch& scratch) const;
  void run(const std::vector<Slot>& slots, Scratch& scratch) const;

 private:
  struct Phase {
    int64_t first, taps;               // offset of the first input point, and how many
    int64_t at;                        // its weights in packed_
    std::vector<bfloat16_pair> pairs;  // instead, for a bfloat16 layer
  };
  struct Tiling;

  explicit Conv1dLayer(const Conv1dSpec& spec);
  void pack_direct(const float* weight);
  void pack_toom(const float* weight);
  void set_bias(const float* bias);
  int64_t points() const {
    return spec_.algorithm == Algorithm::toom4x5 ? 8 : spec_.algorithm == Algorithm::toom6x5 ? 10 : 40;
  }
  bool by_points() const { return spec_.algorithm != Algorithm::direct && spec_.algorithm != Algorithm::bfloat16; }
  int64_t phase_count(int64_t phase, int64_t length) const;
  Tiling tiling(int64_t length) const;
  int64_t tiles(int64_t length) const;
  int64_t halo_of_tiles(int64_t length) const;
  int64_t items(int64_t length) const;
  void run_direct(const std::vector<Slot>& slots, const Part& part) const;
  void alone(const std::vector<Slot>& slots, int64_t phase, int64_t o, int64_t blocks, int64_t position) const;
  Product product(const Slot& slot, int64_t o, int64_t blocks, const Phase& phase, int64_t taps) const;
  void sums(const Slot& slot, int64_t phase, int64_t o, int64_t begin, int64_t first_tap, const Product& product) const;
  void run_bf16(const ChannelView& in, const ChannelView& out) const;
  void run_toom(const std::vector<Slot>& slots, const Part& part, Scratch& scratch) const;
  void activate(const ChannelView& out, int64_t o, int64_t begin, int64_t end, bool with_bias) const;
  const float* bias_of(Layout layout, int64_t channel) const;

  Conv1dSpec spec_;
  std::vector<Phase> phases_;  // direct, bfloat16
  // Weights, then the bias, padded to whole blocks. Weights of a direct layer: [phase][block][tap][input channel]; of a
  // Toom-Cook one: [block][filter][point][signal, input channel]; and always kChannelBlock side by side.
  std::shared_ptr<float[]> own_;
  const float* packed_ = nullptr;
  const float* bias_ = nullptr;
  std::vector<float> bias_lanes_;  // [channel][lane]
};

// Positions [first, first + positions) of [count][channels][length] to and from lanes, lanes from `count` on being
// zero; or of one sample to and from channels.
void to_view(const float* x, int64_t count, int64_t first, int64_t positions, const ChannelView& out);
void from_view(const ChannelView& in, int64_t count, int64_t first, int64_t positions, float* x);
inline void to_view(const float* x, int64_t count, const ChannelView& out) { to_view(x, count, 0, out.length, out); }
inline void from_view(const ChannelView& in, int64_t count, float* x) { from_view(in, count, 0, in.length, x); }
// The same of rows of a channel's positions from `first` on, `row` apart, and layout channels.
void interleave(const float* rows, int64_t row, int64_t first, int64_t positions, const ChannelView& out);
void deinterleave(const ChannelView& in, int64_t first, int64_t positions, float* rows, int64_t row);

}  // namespace dsb
