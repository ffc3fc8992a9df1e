// One case of the kernels on fixed inputs and one thread, for a tool that counts the instructions inside dsb_measured.
// Without a name: the names of all cases.
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ops/attention.h"
#include "ops/bias_act.h"
#include "ops/conversions.h"
#include "ops/dense.h"
#include "ops/feed_forward.h"
#include "ops/image_layers.h"
#include "ops/leads.h"
#include "ops/microvolt.h"
#include "ops/modulated_conv2d.h"
#include "ops/pulse2pulse.h"
#include "ops/random.h"
#include "ops/text.h"
#include "ops/upfirdn2d.h"

extern "C" __attribute__((noinline)) void dsb_measured(const std::function<void()>& work) {
  work();
  asm volatile("" ::: "memory");  // no tail call: the count ends with this function
}

namespace {

using Work = std::function<void()>;
using Values = std::vector<float>;

// Numbers in [-1, 1) by a linear congruential generator: cheap where every instruction is simulated.
Values draw(size_t count) {
  static uint64_t state = 1;
  Values values(count);
  for (float& v : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    v = static_cast<float>(static_cast<int32_t>(state >> 32)) * 0x1p-31f;
  }
  return values;
}

size_t size(const dsb::Shape4& s) { return static_cast<size_t>(s.size()); }

Work random(bool normal) {
  return [=, out = Values(20000)]() mutable {
    const dsb::RandomShape shape = {3, 2, 10000};
    if (normal) return dsb::random_normal(42, 0, shape, 1, out.data());
    dsb::random_uniform(42, 0, shape, -1.0f, 2.0f, 1, out.data());
  };
}

std::vector<int16_t> microvolts() {
  const Values signal = draw(8 * 2500);
  std::vector<int16_t> out(signal.size());
  dsb::microvolt(signal.data(), signal.size(), 3000.0f, 1, out.data());
  return out;
}

Work microvolt() {
  return [x = draw(40000), out = std::vector<int16_t>(40000)]() mutable {
    dsb::microvolt(x.data(), x.size(), 6000.0f, 1, out.data());
  };
}

Work twelve_leads() {
  return [x = microvolts(), out = std::vector<int16_t>(12 * 2500)]() mutable {
    dsb::derive_12_leads(x.data(), 2500, out.data());
  };
}

Work text() {
  return [x = microvolts()] {
    std::string out;
    dsb::format_rows(x.data(), 8, 2500, ' ', {}, 0, out);
  };
}

Work grey_levels() {
  return [x = draw(3 * 64 * 64), out = std::vector<uint8_t>(3 * 64 * 64)]() mutable {
    dsb::grey_levels(x.data(), {1, 3, 64, 64}, 127.5f, 128.0f, 1, out.data());
  };
}

// The ECG network at model size 5, for `count` samples of 2500 points.
Work ecg(int64_t count) {
  const int64_t strides[12] = {2, 5, 2, 5, 5, 5, 5, 5, 5, 2, 5, 2};
  const int64_t outs[12] = {5, 5, 10, 15, 25, 25, 25, 15, 10, 5, 5, 8},
                ins[12] = {8, 5, 5, 10, 15, 25, 25, 50, 30, 20, 10, 5};
  std::vector<dsb::Conv1dLayer> layers;
  for (int k = 0; k < 12; ++k) {
    dsb::Conv1dSpec spec = {ins[k], outs[k], 25, 12};
    (k < 6 ? spec.stride : spec.repetition) = strides[k];
    spec.activation = k < 6 ? dsb::Activation::lrelu : k < 11 ? dsb::Activation::relu : dsb::Activation::tanh;
    spec.slope = 0.01f;
    spec.algorithm = dsb::Pulse2PulseNetwork::algorithm(k);
    const Values weight = draw(static_cast<size_t>(ins[k] * outs[k] * 25)), bias = draw(static_cast<size_t>(outs[k]));
    layers.emplace_back(spec, weight.data(), bias.data());
  }
  const auto network = std::make_shared<dsb::Pulse2PulseNetwork>(std::move(layers));
  return [=, out = std::vector<int16_t>(static_cast<size_t>(count * 8 * 2500))]() mutable {
    network->sample(7, 0, count, 2500, 6000.0f, 1, out.data());
  };
}

// A modulated layer with its whole epilogue, weights prepared as a network has them.
Work layer(const dsb::Shape4& in, int64_t outputs, int64_t taps, bool enlarged, int64_t up) {
  struct Layer {
    dsb::ModulatedConv conv;
    Values x, weight, styles, noise, gains, bias, row = {0.125f, 0.375f, 0.375f, 0.125f}, out;
  };
  auto made = std::make_shared<Layer>();
  Layer& l = *made;
  l.conv.weight = {outputs, in.c, taps, taps};
  l.conv.up = up;
  l.conv.left = l.conv.right = l.conv.top = l.conv.bottom = taps / 2;
  l.conv.enlarged = enlarged;
  l.conv.flip_weight = up == 1;
  if (up > 1) l.conv.filters = {{l.row.data(), 1, 4}, {l.row.data(), 4, 1}};
  l.x = draw(size(in)), l.weight = draw(size(l.conv.weight)), l.styles = draw(static_cast<size_t>(in.n * in.c));
  const dsb::Shape4 shape = dsb::modulated_conv2d_shape(in, l.conv);
  l.noise = draw(static_cast<size_t>(shape.h * shape.w));
  l.gains = draw(static_cast<size_t>(outputs)), l.bias = draw(static_cast<size_t>(outputs));
  l.out.resize(size(shape));
  l.conv.noise = l.noise.data(), l.conv.noise_gain = l.gains.data(), l.conv.bias = l.bias.data();
  l.conv.style_offset = 1.0f;
  l.conv.activation = {dsb::Activation::lrelu, 0.2f, 1.0f, -1.0f};
  const auto prepared = std::make_shared<dsb::ConvWeights>(l.conv.weight, !l.conv.flip_weight);
  l.conv.prepared = prepared.get();
  const Work work = [made, prepared, in] {
    Layer& layer = *made;
    dsb::modulated_conv2d(layer.x.data(), in, layer.weight.data(), layer.styles.data(), layer.conv, 1,
                          layer.out.data());
  };
  work();  // the weights are prepared at the first call
  return work;
}

Work attention() {
  const size_t width = 4 * 64 * 32;
  const Values q = draw(width), k = draw(width), v = draw(width), out = draw(width), bias = draw(32);
  const auto layer = std::make_shared<dsb::Attention>(
      dsb::AttentionSpec{32, 4, 64, 64, 32},
      dsb::AttentionWeights{q.data(), nullptr, k.data(), v.data(), nullptr, out.data(), bias.data()});
  return [=, x = draw(32 * 256), y = Values(32 * 256)]() mutable {
    layer->run(x.data(), x.data(), x.data(), {1, 32, 16, 16}, 1, y.data());
  };
}

Work feed_forward() {
  const Values w1 = draw(64 * 32), w2 = draw(64 * 32);
  const auto layer =
      std::make_shared<dsb::FeedForward>(dsb::FeedForwardSpec{32, 64, 32}, w1.data(), nullptr, w2.data(), nullptr);
  return [=, x = draw(32 * 256), y = Values(32 * 256)]() mutable {
    layer->run(x.data(), x.data(), {1, 32, 16, 16}, 1, y.data());
  };
}

Work dense() {
  dsb::DenseSpec spec = {256, 256};
  spec.activation = {dsb::Activation::lrelu, 0.2f, 1.0f, -1.0f};
  const Values weight = draw(256 * 256), bias = draw(256);
  const auto layer = std::make_shared<dsb::DenseLayer>(spec, weight.data(), bias.data());
  return [=, x = draw(4 * 256), y = Values(4 * 256)]() mutable { layer->run(x.data(), 4, 1, y.data()); };
}

Work resample(int64_t up, int64_t down) {
  const dsb::Shape4 in = {1, 16, 40, 40};
  dsb::Resampling how;
  how.up_x = how.up_y = up, how.down_x = how.down_y = down;
  how.left = how.top = 2, how.right = how.bottom = 1;
  return [=, taps = Values{0.125f, 0.375f, 0.375f, 0.125f}, x = draw(size(in)), out = Values()]() mutable {
    const dsb::FilterSteps steps = dsb::filter_steps({{taps.data(), 1, 4}, {taps.data(), 4, 1}}, how);
    out.resize(size(dsb::upfirdn2d_shape(in, steps)));
    dsb::upfirdn2d(x.data(), in, steps, 1, out.data());
  };
}

Work bias_act(dsb::Activation kind) {
  return [=, x = draw(16 * 1024), bias = draw(16)]() mutable {
    dsb::bias_act(x.data(), 1, 16, 1024, bias.data(), {kind, 0.2f, 1.4f, 256.0f}, 1, x.data());
  };
}

Work enlarge() {
  return [x = draw(16 * 32 * 32), out = Values(16 * 64 * 64)]() mutable {
    dsb::upsample_bilinear2d(x.data(), {1, 16, 32, 32}, 1, out.data());
  };
}

const std::map<std::string, std::function<Work()>> kCases = {
    {"attention", attention},
    {"bias_act_lrelu", [] { return bias_act(dsb::Activation::lrelu); }},
    {"bias_act_tanh", [] { return bias_act(dsb::Activation::tanh); }},
    {"dense", dense},
    {"ecg_alone", [] { return ecg(1); }},
    {"ecg_group", [] { return ecg(16); }},
    {"feed_forward", feed_forward},
    {"grey_levels", grey_levels},
    {"layer_1x1", [] { return layer({1, 32, 32, 32}, 3, 1, false, 1); }},
    {"layer_3x3_small", [] { return layer({2, 64, 4, 4}, 64, 3, false, 1); }},
    {"layer_3x3_large", [] { return layer({1, 32, 32, 32}, 32, 3, false, 1); }},
    {"layer_enlarged", [] { return layer({1, 32, 16, 16}, 32, 3, true, 1); }},
    {"layer_up", [] { return layer({1, 32, 16, 16}, 32, 3, false, 2); }},
    {"microvolt", microvolt},
    {"random_normal", [] { return random(true); }},
    {"random_uniform", [] { return random(false); }},
    {"text", text},
    {"twelve_leads", twelve_leads},
    {"upfirdn2d_down", [] { return resample(1, 2); }},
    {"upfirdn2d_plain", [] { return resample(1, 1); }},
    {"upfirdn2d_up", [] { return resample(2, 1); }},
    {"upsample_bilinear2d", enlarge},
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    for (const auto& [name, make] : kCases) std::puts(name.c_str());
    return 0;
  }
  const auto found = kCases.find(arguments[1]);
  if (found == kCases.end()) {
    std::fprintf(stderr, "instructions: '%s' is no case\n", arguments[1]);
    return 2;
  }
  const Work work = found->second();
  dsb_measured(work);
  return 0;
}
