// The layers of the ECG network and a small network of them, on exact buffers, against plain float64 loops.
#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "native/expect.h"
#include "ops/conv1d.h"
#include "ops/dispatch.h"
#include "ops/pulse2pulse.h"
#include "ops/random.h"

namespace {

std::mt19937 engine(11);

std::vector<float> draw(int64_t count, float scale = 1.0f) {
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = normal(engine);
  return values;
}

// One sample [channels][length]: repeat, pad, correlate, activate.
std::vector<double> reference(const dsb::Conv1dSpec& s, const std::vector<float>& weight,
                              const std::vector<float>& bias, const std::vector<double>& x, int64_t length,
                              int64_t out_length) {
  std::vector<double> out;
  for (int64_t o = 0; o < s.out_channels; ++o)
    for (int64_t t = 0; t < out_length; ++t) {
      double sum = bias[static_cast<size_t>(o)];
      for (int64_t c = 0; c < s.in_channels; ++c)
        for (int64_t k = 0; k < s.taps; ++k) {
          const int64_t u = t * s.stride + k - s.padding;
          if (u < 0 || u >= length * s.repetition) continue;
          sum += weight[static_cast<size_t>((o * s.in_channels + c) * s.taps + k)] *
                 x[static_cast<size_t>(c * length + u / s.repetition)];
        }
      if (s.activation == dsb::Activation::relu) sum = sum < 0 ? 0 : sum;
      if (s.activation == dsb::Activation::lrelu) sum = sum < 0 ? sum * s.slope : sum;
      if (s.activation == dsb::Activation::tanh) sum = std::tanh(sum);
      out.push_back(sum);
    }
  return out;
}

std::vector<float> run_layer(const dsb::Conv1dLayer& layer, dsb::Layout layout, const std::vector<float>& x,
                             int64_t count, int64_t length, unsigned threads = 1) {
  const dsb::Conv1dSpec& spec = layer.spec();
  const int64_t together = layout == dsb::Layout::lanes ? static_cast<int64_t>(dsb::kernels().lanes) : 1;
  const int64_t out_length = layer.out_length(length);
  std::vector<float> out(static_cast<size_t>(count * spec.out_channels * out_length));
  dsb::Scratch scratch;
  for (int64_t first = 0; first < count; first += together) {
    const int64_t samples = std::min(together, count - first);
    dsb::ChannelBlock in_block(layout, spec.in_channels, 0, length, layer.halo(length));
    dsb::ChannelBlock out_block(layout, spec.out_channels, 0, out_length, 0);
    dsb::to_view(x.data() + first * spec.in_channels * length, samples, in_block.view());
    const dsb::ChannelView in = in_block.view(), result = out_block.view();
    for (const dsb::Conv1dLayer::Part& part : layer.parts(1, length, threads))
      layer.run({{&in, &result}}, part, scratch);
    dsb::from_view(out_block.view(), samples, out.data() + first * spec.out_channels * out_length);
  }
  return out;
}

void test_layers() {
  const int64_t lanes = static_cast<int64_t>(dsb::kernels().lanes);
  for (int64_t rows : {1, 4, 7, 11, 17, 33})
    for (int64_t factor : {1, 2, 5, -2, -5})
      for (int64_t length : {1, 3, 10, 23, 130})
        for (dsb::Algorithm algorithm :
             {dsb::Algorithm::direct, dsb::Algorithm::toom4x5, dsb::Algorithm::toom6x5, dsb::Algorithm::toom12x13}) {
          dsb::Conv1dSpec spec = {3, rows, 7, 4};
          spec.algorithm = algorithm;
          (factor > 0 ? spec.stride : spec.repetition) = factor > 0 ? factor : -factor;
          if (algorithm != dsb::Algorithm::direct && factor == 1) spec.taps = 5;
          spec.activation = rows % 2 ? dsb::Activation::lrelu : dsb::Activation::tanh;
          spec.slope = 0.1f;
          const std::vector<float> weight = draw(rows * 3 * spec.taps), bias = draw(rows);
          const dsb::Conv1dLayer layer(spec, weight.data(), bias.data());
          const double tolerance = algorithm == dsb::Algorithm::toom6x5 ? 2e-4 : 1e-4;
          const int64_t count = lanes + 1, out_length = layer.out_length(length);
          const std::vector<float> x = draw(3 * length * count);
          const std::vector<float> out = run_layer(layer, dsb::Layout::lanes, x, count, length);
          expect(out == run_layer(layer, dsb::Layout::channels, x, count, length),
                 "conv1d: layouts have the same bits");
          for (dsb::Layout layout : {dsb::Layout::lanes, dsb::Layout::channels})
            expect(out == run_layer(layer, layout, x, count, length, 3), "conv1d: parts have the bits of the whole");
          for (int64_t n = 0; n < count; ++n) {
            const std::vector<double> sample(x.begin() + n * 3 * length, x.begin() + (n + 1) * 3 * length);
            const std::vector<double> expected = reference(spec, weight, bias, sample, length, out_length);
            for (size_t e = 0; e < expected.size(); ++e)
              expect(std::fabs(out[static_cast<size_t>(n) * expected.size() + e] - expected[e]) < tolerance,
                     "conv1d layer");
          }
        }
}

// The whole network at model size 5, its smallest: one point in the middle.
void test_network() {
  const int64_t strides[12] = {2, 5, 2, 5, 5, 5, 5, 5, 5, 2, 5, 2};
  const int64_t outs[12] = {1, 2, 5, 15, 25, 25, 25, 15, 5, 2, 1, 3},
                ins[12] = {3, 1, 2, 5, 15, 25, 25, 50, 30, 10, 4, 1};
  std::vector<dsb::Conv1dLayer> layers;
  for (int k = 0; k < 12; ++k) {
    dsb::Conv1dSpec spec = {ins[k], outs[k], 25, 12};
    (k < 6 ? spec.stride : spec.repetition) = strides[k];
    spec.activation = k < 6 ? dsb::Activation::lrelu : k < 11 ? dsb::Activation::relu : dsb::Activation::tanh;
    spec.slope = 0.01f;
    spec.algorithm = dsb::Pulse2PulseNetwork::algorithm(k);
    const std::vector<float> weight = draw(ins[k] * outs[k] * 25, 0.1f), bias = draw(outs[k]);
    layers.emplace_back(spec, weight.data(), bias.data());
  }
  const dsb::Pulse2PulseNetwork network(std::move(layers));
  const int64_t count = static_cast<int64_t>(dsb::kernels().lanes) + 3, values = 3 * 2500;
  const std::vector<float> noise = draw(count * values);
  std::vector<float> one(noise.size()), many(noise.size()), alone(static_cast<size_t>(values));
  network.run(noise.data(), count, 2500, 1, one.data());
  network.run(noise.data(), count, 2500, 3, many.data());
  expect(one == many, "pulse2pulse: threads do not change bits");
  network.run(noise.data() + values, 1, 2500, 1, alone.data());
  expect(std::vector<float>(one.begin() + values, one.begin() + 2 * values) == alone,
         "pulse2pulse: alone as in a group");
  for (float v : one) expect(std::fabs(v) <= 1.0f, "pulse2pulse: the signal is within -1 and 1");
  network.run(noise.data(), 0, 2500, 2, one.data());

  std::vector<float> drawn(noise.size());
  dsb::random_uniform(5, 0, {7, static_cast<uint64_t>(count), static_cast<uint64_t>(values)}, -1.0f, 2.0f, 1,
                      drawn.data());
  network.run(drawn.data(), count, 2500, 1, one.data());
  std::vector<int16_t> whole(one.size()), expected(one.size());
  network.sample(5, 7, count, 2500, 6000.0f, 2, whole.data());
  dsb::kernels().microvolt(one.data(), one.size(), 6000.0f, expected.data());
  expect(whole == expected, "pulse2pulse: sample() is noise, network and microvolts");
  bool thrown = false;
  try {
    network.run(noise.data(), 1, 2400, 1, one.data());
  } catch (const std::invalid_argument&) {
    thrown = true;
  }
  expect(thrown, "pulse2pulse: a length that is no multiple of 2500 is refused");
}

}  // namespace

void run_ecg_tests() {
  test_layers();
  test_network();
}
