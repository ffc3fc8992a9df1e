#include <algorithm>
#include <stdexcept>

#include "ops/conv1d.h"
#include "ops/dispatch.h"

namespace dsb {
namespace {

constexpr int64_t kPieceBytes = 128 << 10;  // of input that stays in the second-level cache over all output channels
constexpr int64_t kLeast = 16;              // outputs of a phase that a piece has at least

}  // namespace

// The input is rounded piece by piece, once for all phases.
void Conv1dLayer::run_bf16(const ChannelView& in, const ChannelView& out) const {
  if (in.layout != Layout::lanes) throw std::invalid_argument("conv1d: bfloat16 layers work on lanes only");
  const Kernels& k = kernels();
  const int64_t lanes = static_cast<int64_t>(k.lanes), rows = (spec_.in_channels + 1) / 2;
  const int64_t position = rows * spec_.stride * lanes * static_cast<int64_t>(sizeof(bfloat16_pair));
  const int64_t piece = std::max(kPieceBytes / position, kLeast), most = phase_count(0, in.length);
  std::vector<bfloat16_pair> pairs;
  for (int64_t begin = 0; begin < most; begin += piece) {
    int64_t first = phases_.front().first, end = first;  // of the inputs that this piece reads
    const auto count = [&](int64_t phase) { return std::min(begin + piece, phase_count(phase, in.length)) - begin; };
    for (int64_t phase = 0; phase < spec_.repetition; ++phase) {
      const Phase& p = phases_[static_cast<size_t>(phase)];
      first = std::min(first, p.first);
      end = std::max(end, (count(phase) - 1) * spec_.stride + p.first + p.taps);
    }
    const int64_t row = (end - first) * lanes;
    pairs.resize(static_cast<size_t>(rows * row));
    for (int64_t c = 0; c < spec_.in_channels; c += 2) {
      const float* from = in.first + c * in.unit + (begin * spec_.stride + first) * lanes;
      const float* second = c + 1 < spec_.in_channels ? from + in.unit : nullptr;
      k.pair_bf16(from, second, static_cast<size_t>(row), pairs.data() + c / 2 * row);
    }
    for (int64_t phase = 0; phase < spec_.repetition; ++phase) {
      const Phase& p = phases_[static_cast<size_t>(phase)];
      const bool tanh = spec_.activation == Activation::tanh;
      const LaneConv conv = {spec_.in_channels,
                             spec_.out_channels,
                             p.taps,
                             spec_.stride,
                             row,
                             out.unit,
                             spec_.repetition,
                             count(phase),
                             tanh ? Activation::linear : spec_.activation,
                             spec_.slope};
      k.conv1d_lanes_bf16(conv, pairs.data() + (p.first - first) * lanes, p.pairs.data(), bias_,
                          out.first + (begin * spec_.repetition + phase) * lanes);
    }
  }
}

}  // namespace dsb
