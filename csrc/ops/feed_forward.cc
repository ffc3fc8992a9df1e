#include "ops/feed_forward.h"

#include <algorithm>
#include <stdexcept>

#include "core/float_environment.h"
#include "ops/dispatch.h"
#include "ops/panels.h"
#include "ops/thread_memory.h"
#include "ops/work.h"

namespace dsb {

FeedForward::FeedForward(const FeedForwardSpec& spec, const float* w1, const float* b1, const float* w2,
                         const float* b2)
    : spec_(spec) {
  for (const int64_t size : {spec.channels, spec.hidden, spec.out_channels})
    if (size < 1) throw std::invalid_argument("feed_forward: every size must be at least 1");
  const FloatEnvironment environment;
  first_.resize(static_cast<size_t>(spec.channels * padded_to_block(spec.hidden)));
  second_.resize(static_cast<size_t>(spec.hidden * padded_to_block(spec.out_channels)));
  pack_rows(w1, spec.hidden, spec.channels, spec.channels, 1.0, first_.data());
  pack_rows(w2, spec.out_channels, spec.hidden, spec.hidden, spec.gain, second_.data());
  first_bias_.assign(static_cast<size_t>(spec.hidden), 0.0f);
  second_bias_.assign(static_cast<size_t>(spec.out_channels), 0.0f);
  if (b1) std::copy_n(b1, spec.hidden, first_bias_.begin());
  for (size_t o = 0; o < second_bias_.size() && b2; ++o) second_bias_[o] = spec.gain * b2[o];
}

void FeedForward::run(const float* x, const float* residual, const Shape4& shape, const Threads& threads,
                      float* out) const {
  const Kernels& k = kernels();
  const int64_t positions = shape.h * shape.w, runs = divide_up(positions, kRun * kPanel);
  const int64_t channels = spec_.channels, hidden = spec_.hidden, made = spec_.out_channels;
  parallel_for(static_cast<uint64_t>(shape.n * runs), threads, [&](uint64_t task) {
    const int64_t n = static_cast<int64_t>(task) / runs, first = static_cast<int64_t>(task) % runs * kRun * kPanel;
    const int64_t width = std::min(kRun * kPanel, positions - first), to = n * made * positions + first;
    float* panels = thread_memory(ThreadMemory::values, kRun * kPanel * channels);
    float* between = thread_memory(ThreadMemory::sums, kPanel * hidden);
    float* sums = thread_memory(ThreadMemory::strip, kRun * kPanel * made);
    const float* from = x + n * channels * positions + first;
    gather_run(from, channels, positions, width, panels);
    for (int64_t e = 0; e < width; e += kPanel) {
      const int64_t columns = padded_to_block(std::min(kPanel, width - e));
      const PanelProduct one = {hidden, columns, channels,    1,          padded_to_block(hidden),
                                kPanel, columns, Join::lrelu, spec_.slope};
      k.panel_product(one, first_.data(), panels + e * channels, first_bias_.data(), nullptr, between);
      const PanelProduct two = {made, columns, hidden, 1, padded_to_block(made), columns, columns};
      k.panel_product(two, second_.data(), between, second_bias_.data(), nullptr, sums + e * made);
    }
    scatter_run(k, sums, made, positions, width, residual ? residual + to : nullptr, out + to);
  });
}

}  // namespace dsb
