// The ECG network, whole, on groups of samples: what the fused graph and the C++ library run.
#pragma once

#include <memory>
#include <vector>

#include "ops/conv1d.h"

namespace dsb {

// Six layers down, six up; the inputs of up layers 2 to 5 are joined with the outputs of down layers 5 to 2.
class Pulse2PulseNetwork {
 public:
  // Twelve layers in the order of the computation. Throws std::invalid_argument if their channels do not fit.
  explicit Pulse2PulseNetwork(std::vector<Conv1dLayer> layers);

  int64_t leads() const { return layers_.front().spec().in_channels; }
  // noise and signal are [count][leads][length]; length a multiple of 2500. Groups of samples run on `threads` threads
  // (0: all cores), each through the whole network, without waiting for each other.
  void run(const float* noise, int64_t count, int64_t length, unsigned threads, float* signal) const;

 private:
  std::vector<Conv1dLayer> layers_;
};

}  // namespace dsb
