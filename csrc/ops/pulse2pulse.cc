#include "ops/pulse2pulse.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

#include "ops/dispatch.h"

namespace dsb {
namespace {

constexpr int kDown = 6, kLayers = Pulse2PulseNetwork::kLayers;

// Samples that are cheaper one after the other, their channels side by side, than as a group with idle lanes.
constexpr int64_t kFewSamples = 4;

// The down layer whose output is joined to the input of layer k, or -1.
int joined(int k) { return k > kDown && k < kLayers - 1 ? 2 * kDown - 1 - k : -1; }

// Groups that samples are cut into: full ones by lanes; a rest by lanes too, or sample by sample.
struct Groups {
  int64_t lanes, full, alone, rest;

  Groups(int64_t count, int64_t width) : lanes(width), full(count / width), alone(count % width), rest(0) {
    if (alone > std::min(kFewSamples, width / 2)) alone = 0, rest = 1;
  }
  int64_t size() const { return full + alone + rest; }
  int64_t first(int64_t group) const { return group <= full ? group * lanes : full * lanes + group - full; }
  int64_t samples(int64_t group, int64_t count) const { return group < full ? lanes : rest ? count - full * lanes : 1; }
  Layout layout(int64_t group) const { return lanes > 1 && (group < full || rest) ? Layout::lanes : Layout::channels; }
};

}  // namespace

// The buffers of one group. A layer writes where its consumer reads, so joining costs nothing.
class Pulse2PulseNetwork::Workspace {
 public:
  Workspace(const std::vector<Conv1dLayer>& layers, Layout layout, int64_t length) : layout(layout), length(length) {
    std::vector<int64_t> lengths = {length};
    for (const Conv1dLayer& layer : layers) lengths.push_back(layer.out_length(lengths.back()));
    // blocks[k] is the input of layer k; the last is the signal. A down layer's output also serves its up layer.
    std::vector<int64_t> halos(kLayers + 1, 0);
    for (size_t k = 0; k < kLayers; ++k) halos[k] = layers[k].halo(lengths[k]);
    for (int k = 0; k <= kLayers; ++k) {
      const size_t at = static_cast<size_t>(k);
      const int skip = k < kLayers ? joined(k) : -1;
      const int64_t own = k == 0 ? layers[0].spec().in_channels : layers[at - 1].spec().out_channels;
      if (skip >= 0) {
        const size_t from = static_cast<size_t>(skip);
        const int64_t extra = layers[from].spec().out_channels, halo = std::max(halos[at], halos[from + 1]);
        blocks_[at] = std::make_unique<ChannelBlock>(layout, own, extra, lengths[at], halo);
        inputs_[at] = blocks_[at]->view();
        outputs_[at] = blocks_[at]->first_group();
        inputs_[from + 1] = outputs_[from + 1] = blocks_[at]->second_group();
      } else if (!is_joined_later(k)) {
        blocks_[at] = std::make_unique<ChannelBlock>(layout, own, 0, lengths[at], halos[at]);
        inputs_[at] = outputs_[at] = blocks_[at]->view();
      }
    }
  }

  // What layer k reads, and (as k + 1) what layer k writes.
  const ChannelView& input(int k) const { return inputs_[k]; }
  const ChannelView& output(int k) const { return outputs_[k + 1]; }

  const Layout layout;
  const int64_t length;
  Scratch scratch;

 private:
  static bool is_joined_later(int k) {
    for (int up = kDown; up < kLayers; ++up)
      if (joined(up) >= 0 && joined(up) + 1 == k) return true;
    return false;
  }

  std::unique_ptr<ChannelBlock> blocks_[kLayers + 1];
  ChannelView inputs_[kLayers + 1], outputs_[kLayers + 1];
};

// The encoder's first layers set the error of the whole: two stay direct. The two in the middle work on two and ten
// positions, too few for tiles. docs/kernels.md has the figures.
Algorithm Pulse2PulseNetwork::algorithm(int k) {
  constexpr Algorithm direct = Algorithm::direct, toom = Algorithm::toom4x5, nested = Algorithm::toom8x13;
  constexpr Algorithm plan[kLayers] = {direct, direct, nested, toom,   toom, direct,
                                       direct, toom,   toom,   nested, toom, nested};
  return plan[k];
}

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

std::unique_ptr<Pulse2PulseNetwork::Workspace> Pulse2PulseNetwork::take(Layout layout, int64_t length) const {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto stale = [&](const auto& space) { return space->length != length; };
    idle_.erase(std::remove_if(idle_.begin(), idle_.end(), stale), idle_.end());
    const auto found =
        std::find_if(idle_.begin(), idle_.end(), [&](const auto& space) { return space->layout == layout; });
    if (found != idle_.end()) {
      std::unique_ptr<Workspace> space = std::move(*found);
      idle_.erase(found);
      return space;
    }
  }
  return std::make_unique<Workspace>(layers_, layout, length);
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
  return Groups(count, static_cast<int64_t>(kernels().lanes)).size();
}

template <typename Fill, typename Empty>
void Pulse2PulseNetwork::run_groups(int64_t count, int64_t length, int64_t worker, int64_t workers, Fill fill,
                                    Empty empty) const {
  const Groups groups(count, static_cast<int64_t>(kernels().lanes));
  std::unique_ptr<Workspace> space;
  for (int64_t group = worker; group < groups.size(); group += workers) {
    const Layout layout = groups.layout(group);
    if (!space || space->layout != layout) {
      if (space) give_back(std::move(space));
      space = take(layout, length);
    }
    const int64_t first = groups.first(group), samples = groups.samples(group, count);
    fill(first, samples, space->input(0));
    for (int k = 0; k < kLayers; ++k)
      layers_[static_cast<size_t>(k)].run(space->input(k), space->output(k), space->scratch);
    empty(first, samples, space->output(kLayers - 1));
  }
  if (space) give_back(std::move(space));
}

void Pulse2PulseNetwork::run(const float* noise, int64_t count, int64_t length, const Threads& threads,
                             float* signal) const {
  check(length);
  if (count == 0) return;
  const int64_t workers = std::min<int64_t>(threads.count(), groups(count)), values = leads() * length;
  const auto fill = [&](int64_t first, int64_t samples, const ChannelView& in) {
    to_view(noise + first * values, samples, in);
  };
  const auto empty = [&](int64_t first, int64_t samples, const ChannelView& out) {
    from_view(out, samples, signal + first * values);
  };
  parallel_for(static_cast<uint64_t>(workers), threads,
               [&](uint64_t worker) { run_groups(count, length, static_cast<int64_t>(worker), workers, fill, empty); });
}

void Pulse2PulseNetwork::sample(uint64_t seed, uint64_t start, int64_t count, int64_t length, float scale,
                                const Threads& threads, int16_t* out) const {
  check(length);
  const Kernels& k = kernels();
  const int64_t workers = std::min<int64_t>(threads.count(), groups(count)), values = leads() * length;
  const auto fill = [&](int64_t first, int64_t, const ChannelView& in) {
    PhiloxRange range = {seed, start + static_cast<uint64_t>(first), 0, 0, static_cast<uint64_t>(length)};
    if (in.layout == Layout::lanes) {
      for (int64_t c = 0; c < in.units; ++c, range.first_block += static_cast<uint32_t>(length / 4))
        k.philox_uniform_lanes(range, -1.0f, 2.0f, in.first + c * in.unit);
    } else {
      std::vector<float> noise(static_cast<size_t>(values));
      range.elements = static_cast<uint64_t>(values);
      k.philox_uniform(range, -1.0f, 2.0f, noise.data());
      to_view(noise.data(), 1, in);
    }
  };
  std::atomic<bool> numbers{true};
  const auto empty = [&](int64_t first, int64_t samples, const ChannelView& signal) {
    int16_t* to = out + first * values;
    bool good = true;
    if (signal.layout == Layout::lanes) {
      for (int64_t c = 0; c < signal.units; ++c)
        good &= k.microvolt_lanes(signal.first + c * signal.unit, length, scale, samples, values, to + c * length);
    } else {
      std::vector<float> one(static_cast<size_t>(values));
      from_view(signal, 1, one.data());
      good = k.microvolt(one.data(), one.size(), scale, to);
    }
    if (!good) numbers = false;
  };
  parallel_for(static_cast<uint64_t>(workers), threads,
               [&](uint64_t worker) { run_groups(count, length, static_cast<int64_t>(worker), workers, fill, empty); });
  if (!numbers) throw std::range_error("pulse2pulse: the signal has values that are no numbers");
}

}  // namespace dsb
