#include "ops/pulse2pulse_workspace.h"

#include <algorithm>

namespace dsb {
namespace {

constexpr int kLayers = Pulse2PulseNetwork::kLayers;

// The layer whose output is joined to the input of layer k, or -1.
int joined(int k) { return Pulse2PulseNetwork::joined(k); }

// The layer whose input the output of layer k - 1 is joined to, or -1.
int joined_later(int k) {
  for (int up = 0; up < kLayers; ++up)
    if (joined(up) >= 0 && joined(up) + 1 == k) return up;
  return -1;
}

// Whether groups may use buffer k one after the other: it is written and read outside the middle layers.
bool is_shared(int k) {
  return (k < Pulse2PulseNetwork::kMiddleBegin || k > Pulse2PulseNetwork::kMiddleEnd) && joined(k) < 0 &&
         joined_later(k) < 0;
}

}  // namespace

Pulse2PulseNetwork::Workspace::Workspace(const std::vector<Conv1dLayer>& layers, Layout layout, int64_t length)
    : layout(layout), length(length), layers_(layers), buffers_(kLayers + 1) {
  lengths_ = {length};
  for (const Conv1dLayer& layer : layers) lengths_.push_back(layer.out_length(lengths_.back()));
  for (size_t k = 0; k < kLayers; ++k) halos_.push_back(layers[k].halo(lengths_[k]));
  halos_.push_back(0);
  for (int k = 0; k <= kLayers; ++k)
    if (is_shared(k)) make(k, 1);
}

size_t Pulse2PulseNetwork::Workspace::group_of(int k, size_t group) { return is_shared(k) ? 0 : group; }

void Pulse2PulseNetwork::Workspace::make(int k, size_t groups) {
  const size_t at = static_cast<size_t>(k);
  const int skip = k < kLayers ? joined(k) : -1;
  const int64_t own = k == 0 ? layers_[0].spec().in_channels : layers_[at - 1].spec().out_channels;
  int64_t extra = 0, halo = halos_[at];
  if (skip >= 0) {
    extra = layers_[static_cast<size_t>(skip)].spec().out_channels;
    halo = std::max(halo, halos_[static_cast<size_t>(skip) + 1]);
  }
  Buffer& buffer = buffers_[at];
  const int64_t copies = static_cast<int64_t>(groups);
  buffer = {std::make_unique<ChannelBlock>(layout, own, extra, lengths_[at], halo, copies), {}, {}};
  if (skip >= 0) buffers_[static_cast<size_t>(skip) + 1] = {};
  for (int64_t copy = 0; copy < copies; ++copy) {
    buffer.in.push_back(buffer.block->view(copy));
    buffer.out.push_back(buffer.block->first_group(copy));
    if (skip < 0) continue;
    Buffer& part = buffers_[static_cast<size_t>(skip) + 1];
    part.in.push_back(buffer.block->second_group(copy));
    part.out.push_back(part.in.back());
  }
}

void Pulse2PulseNetwork::Workspace::reserve(size_t groups, unsigned threads) {
  scratch.resize(std::max<size_t>(scratch.size(), threads));
  if (groups_ >= groups) return;
  groups_ = groups;
  for (int k = 0; k <= kLayers; ++k)
    if (!is_shared(k) && joined_later(k) < 0) make(k, groups);
}

std::vector<Conv1dLayer::Slot> Pulse2PulseNetwork::Workspace::slots(int k, size_t groups) const {
  std::vector<Conv1dLayer::Slot> all;
  for (size_t group = 0; group < groups; ++group) all.push_back(slot(k, group));
  return all;
}

}  // namespace dsb
