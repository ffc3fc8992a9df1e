// The buffers that a thread takes some groups of samples through the ECG network in.
#pragma once

#include <memory>
#include <vector>

#include "ops/conv1d.h"
#include "ops/pulse2pulse.h"

namespace dsb {

// A layer writes where its consumer reads, so joining costs nothing. Each group has what its middle layers need and
// what waits for them; the first and the last layers, whose buffers are the largest, use the same memory one group
// after the other.
class Pulse2PulseNetwork::Workspace {
 public:
  Workspace(const std::vector<Conv1dLayer>& layers, Layout layout, int64_t length);

  // Makes room for `groups`.
  void reserve(size_t groups);
  // What layer k reads and writes for each of the first `groups`.
  std::vector<Conv1dLayer::Slot> slots(int k, size_t groups) const;
  Conv1dLayer::Slot slot(int k, size_t group) const { return {&at(k, group).in, &at(k + 1, group).out}; }

  const Layout layout;
  const int64_t length;
  Scratch scratch;

 private:
  struct Buffer {
    std::unique_ptr<ChannelBlock> block;  // null where it is a part of another
    ChannelView in, out;                  // as the layer that reads it and the one that writes it see it
  };
  using Buffers = std::vector<Buffer>;  // [k]: the input of layer k; the last is the signal

  void make(Buffers& buffers, int k) const;
  const Buffer& at(int k, size_t group) const;

  const std::vector<Conv1dLayer>& layers_;
  std::vector<int64_t> lengths_, halos_;
  Buffers shared_;
  std::vector<Buffers> groups_;
};

}  // namespace dsb
