#include "ops/feed_forward.h"

#include <algorithm>
#include <stdexcept>

#include "core/float_environment.h"
#include "ops/dispatch.h"
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
  if (!spec.bfloat16) return;
  const Kernels& k = kernels();
  first_pairs_ = round_packed(k, first_, 1, spec.channels, padded_to_block(spec.hidden));
  second_pairs_ = round_packed(k, second_, 1, spec.hidden, padded_to_block(spec.out_channels));
}

void FeedForward::compute(const float* x, int64_t plane, int64_t width, float* made) const {
  const Kernels& k = kernels();
  const int64_t channels = spec_.channels, hidden = spec_.hidden, out = spec_.out_channels;
  float* panels = thread_memory(ThreadMemory::values, kRun * kPanel * channels);
  float* between = thread_memory(ThreadMemory::sums, kPanel * hidden);
  gather_run(x, channels, plane, width, panels);
  for (int64_t e = 0; e < width; e += kPanel) {
    const int64_t columns = padded_to_block(std::min(kPanel, width - e));
    const PanelProduct one = {hidden, columns, channels,    1,          padded_to_block(hidden),
                              kPanel, columns, Join::lrelu, spec_.slope};
    k.panel_product(one, first_.data(), panels + e * channels, first_bias_.data(), nullptr, between);
    const PanelProduct two = {out, columns, hidden, 1, padded_to_block(out), columns, columns};
    k.panel_product(two, second_.data(), between, second_bias_.data(), nullptr, made + e * out);
  }
}

// What the products of a sample begin with: [padded hidden] of the first, its activation, [padded out] of the second.
void FeedForward::begin(const float* centres, float* starts) const {
  const Kernels& k = kernels();
  const int64_t wide = padded_to_block(spec_.hidden), out = padded_to_block(spec_.out_channels);
  float *middle = starts + wide, *last = middle + wide;
  vector_product(k, centres, first_.data(), spec_.channels, wide, starts);
  for (int64_t m = 0; m < spec_.hidden; ++m) {
    starts[m] += first_bias_[static_cast<size_t>(m)];
    middle[m] = starts[m] < 0.0f ? spec_.slope * starts[m] : starts[m];
    if (middle[m] - middle[m] != 0.0f) middle[m] = 0.0f;  // not finite
  }
  vector_product(k, middle, second_.data(), spec_.hidden, out, last);
  for (int64_t o = 0; o < spec_.out_channels; ++o) last[o] += second_bias_[static_cast<size_t>(o)];
}

void FeedForward::compute_bf16(const float* x, const float* centres, const float* starts, int64_t plane, int64_t width,
                               float* made) const {
  const Kernels& k = kernels();
  const int64_t channels = spec_.channels, hidden = spec_.hidden, out = spec_.out_channels;
  const int64_t pairs = divide_up(channels, 2), hidden_pairs = divide_up(hidden, 2), wide = padded_to_block(hidden);
  float* values = thread_memory(ThreadMemory::values, (kRun * pairs + hidden_pairs) * kPanel);
  bfloat16_pair* panels = reinterpret_cast<bfloat16_pair*>(values);
  bfloat16_pair* rounded = panels + kRun * pairs * kPanel;
  float* between = thread_memory(ThreadMemory::sums, kPanel * hidden);
  gather_pairs(k, x, centres, channels, plane, width, panels);
  for (int64_t e = 0; e < width; e += kPanel) {
    const int64_t columns = padded_to_block(std::min(kPanel, width - e));
    const PanelProduct one = {hidden, columns, pairs, 1, wide, kPanel, columns, Join::lrelu, spec_.slope};
    k.panel_product_bf16(one, first_pairs_.data(), panels + e * pairs, starts, nullptr, between);
    pair_rows(k, between, starts + wide, hidden, columns, rounded);
    const PanelProduct two = {out, columns, hidden_pairs, 1, padded_to_block(out), columns, columns};
    k.panel_product_bf16(two, second_pairs_.data(), rounded, starts + 2 * wide, nullptr, made + e * out);
  }
}

void FeedForward::run(const float* x, const float* residual, const Shape4& shape, const Threads& threads,
                      float* out) const {
  const Kernels& k = kernels();
  const int64_t positions = shape.h * shape.w, runs = divide_up(positions, kRun * kPanel);
  const int64_t channels = spec_.channels, made = spec_.out_channels;
  const int64_t start = 2 * padded_to_block(spec_.hidden) + padded_to_block(made);
  std::vector<float> centres, starts;
  if (spec_.bfloat16) {
    centres = plane_centres(k, x, shape.n * channels, positions, threads);
    starts.resize(static_cast<size_t>(shape.n * start));
    parallel_for(static_cast<uint64_t>(shape.n), threads, [&](uint64_t task) {
      const int64_t n = static_cast<int64_t>(task);
      begin(centres.data() + n * channels, starts.data() + n * start);
    });
  }
  parallel_for(static_cast<uint64_t>(shape.n * runs), threads, [&](uint64_t task) {
    const int64_t n = static_cast<int64_t>(task) / runs, first = static_cast<int64_t>(task) % runs * kRun * kPanel;
    const int64_t width = std::min(kRun * kPanel, positions - first), to = n * made * positions + first;
    const float* from = x + n * channels * positions + first;
    float* sums = thread_memory(ThreadMemory::strip, kRun * kPanel * made);
    if (spec_.bfloat16)
      compute_bf16(from, centres.data() + n * channels, starts.data() + n * start, positions, width, sums);
    else
      compute(from, positions, width, sums);
    scatter_run(k, sums, made, positions, width, residual ? residual + to : nullptr, out + to);
  });
}

}  // namespace dsb
