#include "ops/pulse2pulse.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "core/threads.h"
#include "ops/dispatch.h"

namespace dsb {
namespace {

constexpr int kDown = 6, kLayers = 12;

// The down layer whose output is joined to the input of layer k, or -1.
int joined(int k) { return k > kDown && k < kLayers - 1 ? 2 * kDown - 1 - k : -1; }

// The buffers of one group. A layer writes where its consumer reads, so joining costs nothing.
class Workspace {
 public:
  Workspace(const std::vector<Conv1dLayer>& layers, int64_t length, int64_t lanes) {
    std::vector<int64_t> lengths = {length};
    for (const Conv1dLayer& layer : layers) lengths.push_back(layer.out_length(lengths.back()));
    // blocks[k] is the input of layer k; the last is the signal. A down layer's output also serves its up layer.
    std::vector<int64_t> halos(kLayers + 1, 0);
    for (int k = 0; k < kLayers; ++k)
      halos[static_cast<size_t>(k)] = layers[static_cast<size_t>(k)].halo(lengths[static_cast<size_t>(k)]);
    for (int k = 0; k <= kLayers; ++k) {
      const size_t at = static_cast<size_t>(k);
      const int skip = k < kLayers ? joined(k) : -1;
      const int64_t own = k == 0 ? layers[0].spec().in_channels : layers[at - 1].spec().out_channels;
      if (skip >= 0) {
        const size_t from = static_cast<size_t>(skip);
        const int64_t extra = layers[from].spec().out_channels, halo = std::max(halos[at], halos[from + 1]);
        blocks_[at] = std::make_unique<LaneBlock>(own + extra, lengths[at], halo, lanes);
        inputs_[at] = blocks_[at]->view();
        outputs_[at] = blocks_[at]->view(0, own);
        inputs_[from + 1] = outputs_[from + 1] = blocks_[at]->view(own, extra);
      } else if (!is_joined_later(k)) {
        blocks_[at] = std::make_unique<LaneBlock>(own, lengths[at], halos[at], lanes);
        inputs_[at] = outputs_[at] = blocks_[at]->view();
      }
    }
  }

  // What layer k reads, and (as k + 1) what layer k writes.
  const LaneView& input(int k) const { return inputs_[k]; }
  const LaneView& output(int k) const { return outputs_[k + 1]; }

 private:
  static bool is_joined_later(int k) {
    for (int up = kDown; up < kLayers; ++up)
      if (joined(up) >= 0 && joined(up) + 1 == k) return true;
    return false;
  }

  std::unique_ptr<LaneBlock> blocks_[kLayers + 1];
  LaneView inputs_[kLayers + 1], outputs_[kLayers + 1];
};

}  // namespace

Pulse2PulseNetwork::Pulse2PulseNetwork(std::vector<Conv1dLayer> layers) : layers_(std::move(layers)) {
  if (layers_.size() != kLayers) throw std::invalid_argument("pulse2pulse: twelve layers are needed");
  for (int k = 1; k < kLayers; ++k) {
    const int64_t before = layers_[static_cast<size_t>(k - 1)].spec().out_channels;
    const int64_t extra = joined(k) < 0 ? 0 : layers_[static_cast<size_t>(joined(k))].spec().out_channels;
    if (layers_[static_cast<size_t>(k)].spec().in_channels != before + extra)
      throw std::invalid_argument("pulse2pulse: layer " + std::to_string(k) + " does not fit the channels before it");
  }
}

void Pulse2PulseNetwork::run(const float* noise, int64_t count, int64_t length, unsigned threads, float* signal) const {
  if (length <= 0 || length % 2500)
    throw std::invalid_argument("pulse2pulse: length is " + std::to_string(length) + ", needs a multiple of 2500");
  const int64_t lanes = static_cast<int64_t>(kernels().lanes), groups = (count + lanes - 1) / lanes;
  if (threads == 0) threads = hardware_threads();
  const int64_t workers = std::min<int64_t>(threads, groups);
  // A worker takes every workers-th group, so that it makes its buffers once.
  parallel_for(static_cast<uint64_t>(workers), static_cast<unsigned>(workers), [&](uint64_t worker) {
    const Workspace space(layers_, length, lanes);
    for (int64_t group = static_cast<int64_t>(worker); group < groups; group += workers) {
      const int64_t first = group * lanes, samples = std::min(lanes, count - first);
      to_lanes(noise + first * leads() * length, samples, space.input(0), lanes);
      for (int k = 0; k < kLayers; ++k) layers_[static_cast<size_t>(k)].run(space.input(k), space.output(k));
      from_lanes(space.output(kLayers - 1), samples, lanes, signal + first * leads() * length);
    }
  });
}

}  // namespace dsb
