// The buffers that one thread or a few take some groups of samples through the ECG network in.
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

  // Makes room for `groups` and for what `threads` need each.
  void reserve(size_t groups, unsigned threads);
  // What layer k reads and writes for each of the first `groups`.
  std::vector<Conv1dLayer::Slot> slots(int k, size_t groups) const;
  Conv1dLayer::Slot slot(int k, size_t group) const {
    return {&buffers_[static_cast<size_t>(k)].in[group_of(k, group)],
            &buffers_[static_cast<size_t>(k) + 1].out[group_of(k + 1, group)]};
  }

  const Layout layout;
  const int64_t length;
  std::vector<Scratch> scratch;  // [thread]

 private:
  struct Buffer {
    std::unique_ptr<ChannelBlock> block;  // null where it is a part of another
    std::vector<ChannelView> in, out;     // [group], as the layer that reads it and the one that writes it see it
  };

  void make(int k, size_t groups);
  static size_t group_of(int k, size_t group);

  const std::vector<Conv1dLayer>& layers_;
  std::vector<int64_t> lengths_, halos_;
  size_t groups_ = 0;
  std::vector<Buffer> buffers_;  // [k]: the input of layer k; the last is the signal
};

}  // namespace dsb
