#include "ops/pulse2pulse.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

#include "core/stages.h"
#include "ops/dispatch.h"
#include "ops/pulse2pulse_workspace.h"

namespace dsb {
namespace {

constexpr int kLayers = Pulse2PulseNetwork::kLayers;

// Groups that a thread takes through the middle layers together: their weights are then read from memory once.
constexpr int64_t kGroupsTogether = 4;
// Samples that are cheaper with their channels side by side than as a group with idle lanes: 10 of 16, 5 of 8.
constexpr int64_t few_samples(int64_t lanes) { return lanes * 5 / 8; }
// Pieces of the time axis in which several threads make noise and microvolts: whole blocks of Philox in any length.
constexpr uint64_t kPieces = 5;
// Threads that are worth having in one group.
constexpr unsigned kMostTogether = 8;

// Positions [first, first + count) of all channels of a view.
struct Piece {
  const ChannelView& view;
  int64_t first, count;
};

// Calls work(first, count, rows) for stretches of a piece; rows: memory for kStretch floats a channel.
constexpr int64_t kStretch = 256;
template <typename Work>
void for_each_stretch(const Piece& piece, int64_t channels, Work work) {
  std::vector<float> rows(static_cast<size_t>(channels * kStretch));
  const int64_t end = piece.first + piece.count;
  for (int64_t at = piece.first; at < end; at += kStretch) work(at, std::min(kStretch, end - at), rows.data());
}

}  // namespace

// What is done without waiting for anybody else, by one thread or by several together: groups of `lanes` samples, or
// samples one by one.
struct Pulse2PulseNetwork::Bundle {
  Layout layout;
  int64_t first, count, group;  // samples; and how many make a group
  bool together;
  int64_t groups() const { return (count + group - 1) / group; }
};

std::vector<Pulse2PulseNetwork::Bundle> Pulse2PulseNetwork::bundles(int64_t count, unsigned threads) {
  const int64_t width = static_cast<int64_t>(kernels().lanes), rest = count % width;
  const int64_t by_lanes = rest <= few_samples(width) ? count - rest : count;
  std::vector<Bundle> all;
  // A group for each thread as often as that goes; then those that would leave at least half of the threads idle.
  const auto split = [&](Layout layout, int64_t first, int64_t end, int64_t group) {
    const int64_t groups = (end - first + group - 1) / group, over = groups % threads;
    const int64_t shared = threads > 1 && 2 * over <= threads ? over : 0, alone = groups - shared;
    const int64_t share = (alone + threads - 1) / threads;
    const int64_t parts = alone ? (alone + kGroupsTogether - 1) / kGroupsTogether : 0;
    const int64_t size = std::min(share, parts ? (alone + parts - 1) / parts : 1) * group;
    const int64_t middle = std::min(end, first + alone * group);
    for (int64_t at = first; at < middle; at += size)
      all.push_back({layout, at, std::min(size, middle - at), group, false});
    for (int64_t at = middle; at < end; at += kGroupsTogether * group)
      all.push_back({layout, at, std::min(kGroupsTogether * group, end - at), group, true});
  };
  if (width == 1) {  // vectors run over channels only
    split(Layout::channels, 0, count, 1);
    return all;
  }
  split(Layout::lanes, 0, by_lanes, width);
  if (by_lanes < count) all.push_back({Layout::channels, by_lanes, count - by_lanes, 1, threads > 1});
  return all;
}

// The encoder's first layers set the error of the whole: two stay direct. The two in the middle work on two and ten
// positions, too few for tiles. docs/kernels.md has the figures.
Algorithm Pulse2PulseNetwork::algorithm(int k) {
  constexpr Algorithm direct = Algorithm::direct, four = Algorithm::toom4x5, six = Algorithm::toom6x5,
                      nested = Algorithm::toom12x13;
  constexpr Algorithm plan[kLayers] = {direct, direct, nested, four,   four, direct,
                                       direct, six,    six,    nested, six,  nested};
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

template <typename Fill, typename Empty>
void Pulse2PulseNetwork::run_bundle(const Bundle& bundle, int64_t length, const Threads& threads, Fill fill,
                                    Empty empty) const {
  std::unique_ptr<Workspace> space = take(bundle.layout, length);
  const size_t groups = static_cast<size_t>(bundle.groups());
  space->reserve(groups, threads.count());
  std::vector<Stage> stages;
  const auto layer = [&](int k, std::vector<Conv1dLayer::Slot> slots) {
    const Conv1dLayer& one = layers_[static_cast<size_t>(k)];
    const std::vector<Conv1dLayer::Part> parts = one.parts(slots.size(), slots.front().in->length, threads.count());
    stages.push_back({parts.size(), [&one, &space, slots, parts](uint64_t task, unsigned member) {
                        one.run(slots, parts[task], space->scratch[member]);
                      }});
  };
  const auto samples = [&](size_t g) {
    return std::min(bundle.group, bundle.count - static_cast<int64_t>(g) * bundle.group);
  };
  const uint64_t pieces = threads.count() == 1 ? 1 : kPieces;
  const auto piece_of = [&](const ChannelView& view, uint64_t piece) {
    const int64_t size = length / static_cast<int64_t>(pieces);
    return Piece{view, size * static_cast<int64_t>(piece), size};
  };
  const auto first = [&](size_t g) { return bundle.first + static_cast<int64_t>(g) * bundle.group; };
  for (size_t g = 0; g < groups; ++g) {
    stages.push_back({pieces, [&, g](uint64_t piece, unsigned) {
                        fill(first(g), samples(g), piece_of(*space->slot(0, g).in, piece));
                      }});
    for (int k = 0; k < kMiddleBegin; ++k) layer(k, {space->slot(k, g)});
  }
  for (int k = kMiddleBegin; k < kMiddleEnd; ++k) layer(k, space->slots(k, groups));
  for (size_t g = 0; g < groups; ++g) {
    for (int k = kMiddleEnd; k < kLayers; ++k) layer(k, {space->slot(k, g)});
    stages.push_back({pieces, [&, g](uint64_t piece, unsigned) {
                        empty(first(g), samples(g), piece_of(*space->slot(kLayers - 1, g).out, piece));
                      }});
  }
  run_stages(stages, threads);
  give_back(std::move(space));
}

template <typename Fill, typename Empty>
void Pulse2PulseNetwork::run_all(int64_t count, int64_t length, const Threads& threads, Fill fill, Empty empty) const {
  check(length);
  const std::vector<Bundle> all = bundles(count, threads.count());
  const auto together = std::partition_point(all.begin(), all.end(), [](const Bundle& b) { return !b.together; });
  parallel_for(static_cast<uint64_t>(together - all.begin()), threads,
               [&](uint64_t task) { run_bundle(all[task], length, 1, fill, empty); });
  for (auto bundle = together; bundle != all.end(); ++bundle)
    run_bundle(*bundle, length, threads.at_most(kMostTogether), fill, empty);
}

void Pulse2PulseNetwork::run(const float* noise, int64_t count, int64_t length, const Threads& threads,
                             float* signal) const {
  const int64_t values = leads() * length;
  const auto fill = [&](int64_t first, int64_t samples, const Piece& piece) {
    to_view(noise + first * values, samples, piece.first, piece.count, piece.view);
  };
  const auto empty = [&](int64_t first, int64_t samples, const Piece& piece) {
    from_view(piece.view, samples, piece.first, piece.count, signal + first * values);
  };
  run_all(count, length, threads, fill, empty);
}

void Pulse2PulseNetwork::sample(uint64_t seed, uint64_t start, int64_t count, int64_t length, float scale,
                                const Threads& threads, int16_t* out) const {
  const Kernels& k = kernels();
  const int64_t values = leads() * length;
  const auto fill = [&](int64_t first, int64_t, const Piece& piece) {
    const ChannelView& in = piece.view;
    const auto range = [&](int64_t c, int64_t at, int64_t count) {
      const uint32_t block = static_cast<uint32_t>((c * length + at) / 4);
      return PhiloxRange{seed, start + static_cast<uint64_t>(first), 0, block, static_cast<uint64_t>(count)};
    };
    if (in.layout == Layout::lanes) {
      float* to = in.first + piece.first * in.step;
      for (int64_t c = 0; c < in.units; ++c)
        k.philox_uniform_lanes(range(c, piece.first, piece.count), -1.0f, 2.0f, to + c * in.unit);
      return;
    }
    for_each_stretch(piece, leads(), [&](int64_t at, int64_t count, float* rows) {
      for (int64_t c = 0; c < leads(); ++c) k.philox_uniform(range(c, at, count), -1.0f, 2.0f, rows + c * kStretch);
      interleave(rows, kStretch, at, count, in);
    });
  };
  std::atomic<bool> numbers{true};
  const auto empty = [&](int64_t first, int64_t samples, const Piece& piece) {
    const ChannelView& signal = piece.view;
    int16_t* to = out + first * values;
    bool good = true;
    if (signal.layout == Layout::lanes) {
      const float* from = signal.first + piece.first * signal.step;
      for (int64_t c = 0; c < signal.units; ++c)
        good &= k.microvolt_lanes(from + c * signal.unit, piece.count, scale, samples, values,
                                  to + c * length + piece.first);
    } else {
      for_each_stretch(piece, leads(), [&](int64_t at, int64_t count, float* rows) {
        deinterleave(signal, at, count, rows, kStretch);
        for (int64_t c = 0; c < leads(); ++c)
          good &= k.microvolt(rows + c * kStretch, static_cast<size_t>(count), scale, to + c * length + at);
      });
    }
    if (!good) numbers = false;
  };
  run_all(count, length, threads, fill, empty);
  if (!numbers) throw std::range_error("pulse2pulse: the signal has values that are no numbers");
}

}  // namespace dsb
