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
  // The layer whose output is joined to the input of layer `k`, or -1.
  static int joined(int k) { return k > 6 && k < kLayers - 1 ? kLayers - 1 - k : -1; }
  // Layers with few positions and many weights, which several groups go through together.
  static constexpr int kMiddleBegin = 3, kMiddleEnd = 9;

  // Twelve layers in the order of the computation. Throws std::invalid_argument if their channels do not fit.
  explicit Pulse2PulseNetwork(std::vector<Conv1dLayer> layers);
  ~Pulse2PulseNetwork();

  int64_t leads() const { return layers_.front().spec().in_channels; }
  // noise and signal are [count][leads][length]; length a multiple of 2500. Each of `threads` takes groups of samples
  // through the whole network without waiting for others; what is left over they take through layer by layer together.
  void run(const float* noise, int64_t count, int64_t length, const Threads& threads, float* signal) const;

  // Samples start to start + count - 1 of a seed: noise uniform in [-1, 1) drawn from stream 0, the network, and
  // trunc(signal * scale), saturated, to out [count][leads][length]. Throws std::range_error if a value is no number.
  void sample(uint64_t seed, uint64_t start, int64_t count, int64_t length, float scale, const Threads& threads,
              int16_t* out) const;

  // Throws std::invalid_argument unless this is a length that the network takes.
  void check(int64_t length) const;

 private:
  class Workspace;
  struct Bundle;
  static std::vector<Bundle> bundles(int64_t count, unsigned threads);
  std::unique_ptr<Workspace> take(Layout layout, int64_t length) const;
  void give_back(std::unique_ptr<Workspace> space) const;
  // fill(first sample, samples, piece of the noise) and empty(first sample, samples, piece of the signal), group by
  // group.
  template <typename Fill, typename Empty>
  void run_bundle(const Bundle& bundle, int64_t length, const Threads& threads, Fill fill, Empty empty) const;
  template <typename Fill, typename Empty>
  void run_all(int64_t count, int64_t length, const Threads& threads, Fill fill, Empty empty) const;

  std::vector<Conv1dLayer> layers_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Workspace>> idle_;  // kept between calls: fresh memory costs more than it looks
};

}  // namespace dsb
