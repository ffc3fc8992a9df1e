#include "ops/pulse2pulse.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "core/float_environment.h"
#include "core/threads.h"
#include "ops/dispatch.h"

namespace dsb {
namespace {

constexpr int kDown = 6, kLayers = 12;

// The down layer whose output is joined to the input of layer k, or -1.
int joined(int k) { return k > kDown && k < kLayers - 1 ? 2 * kDown - 1 - k : -1; }

}  // namespace

// The buffers of one group. A layer writes where its consumer reads, so joining costs nothing.
class Pulse2PulseNetwork::Workspace {
 public:
  Workspace(const std::vector<Conv1dLayer>& layers, int64_t length, int64_t lanes) : length(length) {
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

  const int64_t length;

 private:
  static bool is_joined_later(int k) {
    for (int up = kDown; up < kLayers; ++up)
      if (joined(up) >= 0 && joined(up) + 1 == k) return true;
    return false;
  }

  std::unique_ptr<LaneBlock> blocks_[kLayers + 1];
  LaneView inputs_[kLayers + 1], outputs_[kLayers + 1];
};

Pulse2PulseNetwork::Pulse2PulseNetwork(std::vector<Conv1dLayer> layers) : layers_(std::move(layers)) {
  if (layers_.size() != kLayers) throw std::invalid_argument("pulse2pulse: twelve layers are needed");
  for (int k = 1; k < kLayers; ++k) {
    const int64_t before = layers_[static_cast<size_t>(k - 1)].spec().out_channels;
    const int64_t extra = joined(k) < 0 ? 0 : layers_[static_cast<size_t>(joined(k))].spec().out_channels;
    if (layers_[static_cast<size_t>(k)].spec().in_channels != before + extra)
      throw std::invalid_argument("pulse2pulse: layer " + std::to_string(k) + " does not fit the channels before it");
  }
}

Pulse2PulseNetwork::~Pulse2PulseNetwork() = default;

std::unique_ptr<Pulse2PulseNetwork::Workspace> Pulse2PulseNetwork::take(int64_t length) const {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    while (!idle_.empty()) {
      std::unique_ptr<Workspace> space = std::move(idle_.back());
      idle_.pop_back();
      if (space->length == length) return space;
    }
  }
  return std::make_unique<Workspace>(layers_, length, static_cast<int64_t>(kernels().lanes));
}

void Pulse2PulseNetwork::give_back(std::unique_ptr<Workspace> space) const {
  std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(std::move(space));
}

void Pulse2PulseNetwork::check(int64_t length) const {
  if (length <= 0 || length % 2500)
    throw std::invalid_argument("pulse2pulse: length is " + std::to_string(length) + ", needs a multiple of 2500");
}

int64_t Pulse2PulseNetwork::groups(int64_t count) const {
  const int64_t lanes = static_cast<int64_t>(kernels().lanes);
  return (count + lanes - 1) / lanes;
}

void Pulse2PulseNetwork::run_part(const float* noise, int64_t count, int64_t length, int64_t worker, int64_t workers,
                                  float* signal) const {
  const FloatEnvironment environment;
  const int64_t lanes = static_cast<int64_t>(kernels().lanes), values = leads() * length;
  std::unique_ptr<Workspace> space = take(length);
  for (int64_t group = worker; group < groups(count); group += workers) {
    const int64_t first = group * lanes, samples = std::min(lanes, count - first);
    to_lanes(noise + first * values, samples, space->input(0), lanes);
    for (int k = 0; k < kLayers; ++k) layers_[static_cast<size_t>(k)].run(space->input(k), space->output(k));
    from_lanes(space->output(kLayers - 1), samples, lanes, signal + first * values);
  }
  give_back(std::move(space));
}

void Pulse2PulseNetwork::run(const float* noise, int64_t count, int64_t length, unsigned threads, float* signal) const {
  check(length);
  if (threads == 0) threads = hardware_threads();
  const int64_t workers = std::min<int64_t>(threads, groups(count));
  parallel_for(static_cast<uint64_t>(workers), static_cast<unsigned>(workers),
               [&](uint64_t worker) { run_part(noise, count, length, static_cast<int64_t>(worker), workers, signal); });
}

}  // namespace dsb
