#include "ops/dense.h"

#include <algorithm>

#include "core/float_environment.h"
#include "ops/dispatch.h"
#include "ops/work.h"

namespace dsb {
namespace {

constexpr int64_t kPanel = 64;  // outputs that are computed side by side
constexpr int64_t kBlock = 16;  // inputs turned at once: a cache line of a row of weights

void turn(const float* weight, int64_t in, int64_t width, float gain, float* panel) {
  for (int64_t first = 0; first < in; first += kBlock)
    for (int64_t o = 0; o < width; ++o)
      for (int64_t i = first; i < std::min(in, first + kBlock); ++i) panel[i * width + o] = weight[o * in + i] * gain;
}

}  // namespace

DenseLayer::DenseLayer(const DenseSpec& spec, const float* weight, const float* bias)
    : spec_(spec), panels_(static_cast<size_t>(spec.in * spec.out)), bias_(static_cast<size_t>(spec.out), 0.0f) {
  const FloatEnvironment environment;
  for (int64_t first = 0; first < spec.out; first += kPanel)
    turn(weight + first * spec.in, spec.in, std::min(kPanel, spec.out - first), spec.weight_gain,
         panels_.data() + first * spec.in);
  if (bias)
    for (size_t o = 0; o < bias_.size(); ++o) bias_[o] = bias[o] * spec.bias_gain;
}

void DenseLayer::run(const float* x, int64_t count, const Threads& threads, float* out) const {
  const Kernels& k = kernels();
  const int64_t panels = divide_up(spec_.out, kPanel), group = items_per_task(count * spec_.in * kPanel);
  parallel_for(static_cast<uint64_t>(divide_up(panels, group)), threads, [&](uint64_t task) {
    const int64_t begin = static_cast<int64_t>(task) * group * kPanel,
                  end = std::min(spec_.out, begin + group * kPanel);
    for (int64_t first = begin; first < end; first += kPanel) {
      const int64_t width = std::min(kPanel, end - first);
      k.matmul({count, width, spec_.in, spec_.in, width, spec_.out}, x, panels_.data() + first * spec_.in, out + first);
    }
    for (int64_t n = 0; n < count; ++n) {
      float* row = out + n * spec_.out + begin;
      k.bias_act(row, static_cast<size_t>(end - begin), bias_.data() + begin, 1, spec_.activation, row);
    }
  });
}

}  // namespace dsb
