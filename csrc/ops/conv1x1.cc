#include "ops/conv1x1.h"

#include <algorithm>
#include <vector>

#include "ops/dispatch.h"
#include "ops/work.h"

namespace dsb {
namespace {

constexpr int64_t kPanel = 64;  // positions that are computed side by side

void epilogue(const Kernels& k, const Conv1x1& conv, int64_t channel, size_t count, const float* residual, float* out) {
  const float none = 0.0f;
  k.bias_act(out, count, conv.bias ? conv.bias + channel : &none, 0, conv.activation, out);
  if (residual) k.scale_add(out, count, 1.0f, residual, out);
}

}  // namespace

void conv1x1(const float* x, const Shape4& shape, const Conv1x1& conv, const Threads& threads, float* out) {
  const Kernels& k = kernels();
  const int64_t in = shape.c, positions = shape.h * shape.w;
  const int64_t panels = divide_up(positions, kPanel), group = items_per_task(in * conv.out_channels * kPanel);
  const int64_t groups = divide_up(panels, group);
  parallel_for(static_cast<uint64_t>(shape.n * groups), threads, [&](uint64_t task) {
    const int64_t n = static_cast<int64_t>(task) / groups;
    const int64_t begin = static_cast<int64_t>(task) % groups * group * kPanel;
    const int64_t end = std::min(positions, begin + group * kPanel), offset = n * conv.out_channels * positions;
    // Rows a power of two apart share few places in the cache, so a panel is gathered first.
    std::vector<float> panel(positions > kPanel ? static_cast<size_t>(in * kPanel) : 0);
    for (int64_t first = begin; first < end; first += kPanel) {
      const int64_t width = std::min(kPanel, end - first);
      const float* from = x + n * in * positions + first;
      if (!panel.empty()) {
        for (int64_t c = 0; c < in; ++c) std::copy_n(from + c * positions, width, panel.data() + c * width);
        from = panel.data();
      }
      k.matmul({conv.out_channels, width, in, in, width, positions}, conv.weight, from, out + offset + first);
    }
    for (int64_t o = 0; o < conv.out_channels; ++o) {
      const int64_t at = offset + o * positions + begin;
      epilogue(k, conv, o, static_cast<size_t>(end - begin), conv.residual ? conv.residual + at : nullptr, out + at);
    }
  });
}

}  // namespace dsb
