// The ECG network, whole: what the fused graph, the Python package and the C++ library run.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/threads.h"
#include "ops/conv1d.h"

namespace dsb {

// Six layers down, six up; the inputs of up layers 2 to 5 are joined with the outputs of down layers 5 to 2.
class Pulse2PulseNetwork {
 public:
  static constexpr int kLayers = 12;

  // How layer `k` is computed: part of the arithmetic.
  static Algorithm algorithm(int k);

  // Twelve layers in the order of the computation. Throws std::invalid_argument if their channels do not fit.
  explicit Pulse2PulseNetwork(std::vector<Conv1dLayer> layers);
  ~Pulse2PulseNetwork();

  int64_t leads() const { return layers_.front().spec().in_channels; }
  // noise and signal are [count][leads][length]; length a multiple of 2500. Groups of samples run on `threads`,
  // each through the whole network, without waiting for each other.
  void run(const float* noise, int64_t count, int64_t length, const Threads& threads, float* signal) const;

  // Samples start to start + count - 1 of a seed: noise uniform in [-1, 1) drawn from stream 0, the network, and
  // trunc(signal * scale), saturated, to out [count][leads][length]. Throws std::range_error if a value is no number.
  void sample(uint64_t seed, uint64_t start, int64_t count, int64_t length, float scale, const Threads& threads,
              int16_t* out) const;

  // Throws std::invalid_argument unless this is a length that the network takes.
  void check(int64_t length) const;

 private:
  class Workspace;
  // Parts that `count` samples can be cut into; more workers than that have nothing to do.
  int64_t groups(int64_t count) const;
  std::unique_ptr<Workspace> take(Layout layout, int64_t length) const;
  void give_back(std::unique_ptr<Workspace> space) const;
  template <typename Fill, typename Empty>
  void run_groups(int64_t count, int64_t length, int64_t worker, int64_t workers, Fill fill, Empty empty) const;

  std::vector<Conv1dLayer> layers_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Workspace>> idle_;  // kept between calls: fresh memory costs more than it looks
};

}  // namespace dsb
