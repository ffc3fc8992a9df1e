// bfloat16 in every variant on exact buffers, against float64 loops over the same rounded numbers; built with a
// sanitizer.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "native/draw.h"
#include "native/expect.h"
#include "ops/bfloat16.h"
#include "ops/conv1d.h"
#include "ops/conv_bf16.h"
#include "ops/dispatch.h"
#include "ops/modulated_conv2d.h"

namespace {

std::mt19937 engine(13);

std::vector<float> draw(int64_t count) { return ::draw(engine, count); }

std::vector<dsb::bfloat16> rounded(const std::vector<float>& values) {
  std::vector<dsb::bfloat16> bits(values.size());
  dsb::kernels("scalar").round_bf16(values.data(), values.size(), bits.data());
  return bits;
}

double value_of(dsb::bfloat16 half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

void near(const std::vector<double>& got, const std::vector<double>& expected, double tolerance,
          const std::string& what) {
  double largest = 1e-30, error = 0.0;
  for (size_t e = 0; e < expected.size(); ++e) {
    largest = std::fmax(largest, std::fabs(expected[e]));
    error = std::fmax(error, std::fabs(got[e] - expected[e]));
  }
  expect(got.size() == expected.size() && error <= tolerance * largest, what);
}

std::vector<double> wide(const std::vector<float>& values) { return {values.begin(), values.end()}; }

void test_known_roundings(const dsb::Kernels& k) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const float values[10] = {1.0f, 1.00390625f, 1.01171875f, -0.0f, 3.4e38f, inf, -inf, nan, -nan, 0x1.8p-133f};
  const dsb::bfloat16 bits[10] = {0x3F80, 0x3F80, 0x3F82, 0x8000, 0x7F80, 0x7F80, 0xFF80, 0x7FC0, 0xFFC0, 0x0002};
  dsb::bfloat16 out[10];
  k.round_bf16(values, 10, out);
  for (int e = 0; e < 10; ++e) expect(out[e] == bits[e], std::string(k.name) + ": rounding " + std::to_string(e));
}

void test_conversions(const dsb::Kernels& k, const dsb::Kernels& reference) {
  for (int64_t count : {0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 65, 1001}) {
    std::vector<float> first(static_cast<size_t>(count)), second(first.size()), back(first.size());
    for (size_t e = 0; e < first.size(); ++e) {  // any bits: not-a-number and denormals too
      const uint32_t words[2] = {static_cast<uint32_t>(engine()), static_cast<uint32_t>(engine())};
      std::memcpy(&first[e], &words[0], sizeof(float));
      std::memcpy(&second[e], &words[1], sizeof(float));
    }
    std::vector<dsb::bfloat16> a(first.size()), b(first.size());
    k.round_bf16(first.data(), first.size(), a.data());
    reference.round_bf16(first.data(), first.size(), b.data());
    expect(a == b, std::string(k.name) + ": round_bf16");
    k.widen_bf16(a.data(), a.size(), back.data());
    k.round_bf16(back.data(), back.size(), b.data());
    expect(a == b, std::string(k.name) + ": widen_bf16");
    reference.round_bf16(second.data(), second.size(), b.data());
    std::vector<dsb::bfloat16_pair> pairs(first.size());
    k.pair_bf16(first.data(), second.data(), first.size(), pairs.data());
    for (size_t e = 0; e < pairs.size(); ++e)
      expect(pairs[e] == (a[e] | static_cast<uint32_t>(b[e]) << 16), std::string(k.name) + ": pair_bf16");
    k.pair_bf16(first.data(), nullptr, first.size(), pairs.data());
    for (size_t e = 0; e < pairs.size(); ++e) expect(pairs[e] == a[e], std::string(k.name) + ": half a pair_bf16");
  }
}

// x [in channels, height, width] as pairs of channels, readable for a vector more.
std::vector<dsb::bfloat16_pair> pairs_of(const dsb::Kernels& k, const std::vector<float>& x, int64_t channels,
                                         int64_t plane) {
  std::vector<dsb::bfloat16_pair> pairs(static_cast<size_t>((channels + 1) / 2 * plane) + k.lanes);
  for (int64_t c = 0; c < channels; c += 2)
    k.pair_bf16(x.data() + c * plane, c + 1 < channels ? x.data() + (c + 1) * plane : nullptr,
                static_cast<size_t>(plane), pairs.data() + c / 2 * plane);
  return pairs;
}

void test_conv2d(const dsb::Kernels& k) {
  for (int64_t width : {3, 4, 9, 17, 18, 19, 34, 67})
    for (int64_t in : {1, 2, 5})
      for (int64_t outs : {1, 2, 3, 4})
        for (bool flip : {false, true}) {
          const int64_t height = 5, out_height = 3, out_width = width - 2;
          const dsb::ConvPlane p = {in, height, width, out_height, out_width, 3, 3, flip};
          const std::vector<float> x = draw(in * height * width);
          const std::vector<dsb::bfloat16> half = rounded(x), weight = rounded(draw(outs * in * 9));
          std::vector<float> out(static_cast<size_t>(outs * out_height * out_width));
          k.conv2d_bf16(p, outs, pairs_of(k, x, in, height * width).data(),
                        dsb::packed_pairs(weight.data(), {outs, in, 3, 3}).data(), out.data());
          std::vector<double> expected;
          for (int64_t o = 0; o < outs; ++o)
            for (int64_t y = 0; y < out_height; ++y)
              for (int64_t column = 0; column < out_width; ++column) {
                double sum = 0.0;
                for (int64_t c = 0; c < in; ++c)
                  for (int64_t t = 0; t < 9; ++t)
                    sum += value_of(weight[static_cast<size_t>((o * in + c) * 9 + (flip ? 8 - t : t))]) *
                           value_of(half[static_cast<size_t>((c * height + y + t / 3) * width + column + t % 3)]);
                expected.push_back(sum);
              }
          near(wide(out), expected, 1e-5, std::string(k.name) + ": conv2d_bf16");
        }
}

void test_conv1d(const dsb::Kernels& k) {
  const int64_t lanes = static_cast<int64_t>(k.lanes);
  for (int64_t in : {1, 2, 5})
    for (int64_t outs : {1, 3, 4, 6})
      for (int64_t count : {1, 2, 5, 11}) {
        const int64_t taps = 3, stride = 2, length = (count - 1) * stride + taps, row = length * lanes;
        const dsb::LaneConv conv = {in, outs, taps, stride, row, count * lanes, 1, count, dsb::Activation::lrelu, 0.5f};
        const std::vector<float> x = draw(in * row), bias = draw(outs);
        const std::vector<dsb::bfloat16> half = rounded(x), weight = rounded(draw(outs * in * taps));
        std::vector<dsb::bfloat16_pair> pairs = pairs_of(k, x, in, row);
        pairs.resize(pairs.size() - k.lanes);
        pairs.shrink_to_fit();
        std::vector<float> out(static_cast<size_t>(outs * count * lanes));
        k.conv1d_lanes_bf16(conv, pairs.data(), dsb::packed_pairs(weight.data(), {outs, in, 1, taps}).data(),
                            bias.data(), out.data());
        std::vector<double> expected;
        for (int64_t o = 0; o < outs; ++o)
          for (int64_t t = 0; t < count; ++t)
            for (int64_t lane = 0; lane < lanes; ++lane) {
              double sum = bias[static_cast<size_t>(o)];
              for (int64_t c = 0; c < in; ++c)
                for (int64_t tap = 0; tap < taps; ++tap)
                  sum += value_of(weight[static_cast<size_t>((o * in + c) * taps + tap)]) *
                         value_of(half[static_cast<size_t>(c * row + (t * stride + tap) * lanes + lane)]);
              expected.push_back(sum < 0 ? sum * 0.5 : sum);
            }
        near(wide(out), expected, 1e-5, std::string(k.name) + ": conv1d_lanes_bf16");
      }
}

// vdpbf16ps takes denormal numbers for zero whatever MXCSR says; products of widened numbers keep them.
void test_its_own_instruction_ran(const dsb::Kernels& k) {
  const std::vector<float> tiny(1, 0x1p-130f);
  const std::vector<dsb::bfloat16> one = rounded({1.0f});
  float out = -1.0f;
  k.conv2d_bf16({1, 1, 1, 1, 1, 1, 1, false}, 1, pairs_of(k, tiny, 1, 1).data(),
                dsb::packed_pairs(one.data(), {1, 1, 1, 1}).data(), &out);
  expect(out == (std::string(k.name) == "avx512_bf16" ? 0.0f : 0x1p-130f), std::string(k.name) + ": its instruction");
}

// A layer whose input comes in several pieces, strided or with phases, on the active variant.
void test_layers() {
  const int64_t lanes = static_cast<int64_t>(dsb::kernels().lanes);
  for (int64_t factor : {1, 3, -3})
    for (int64_t length : {1, 2, 40, 700}) {
      dsb::Conv1dSpec spec = {7, 6, 5, 3};
      (factor > 0 ? spec.stride : spec.repetition) = factor > 0 ? factor : -factor;
      std::vector<float> outs[2];
      const std::vector<float> weight = draw(7 * 6 * 5), bias = draw(6), x = draw(7 * length * lanes);
      for (bool bfloat16 : {false, true}) {
        spec.algorithm = bfloat16 ? dsb::Algorithm::bfloat16 : dsb::Algorithm::direct;
        const dsb::Conv1dLayer layer(spec, weight.data(), bias.data());
        dsb::ChannelBlock in_block(dsb::Layout::lanes, 7, 0, length, layer.halo(length));
        dsb::ChannelBlock out_block(dsb::Layout::lanes, 6, 0, layer.out_length(length), 0);
        dsb::Scratch scratch;
        dsb::to_view(x.data(), lanes, in_block.view());
        const dsb::ChannelView in = in_block.view(), result = out_block.view();
        layer.run({{&in, &result}}, scratch);
        outs[bfloat16].resize(static_cast<size_t>(6 * layer.out_length(length) * lanes));
        dsb::from_view(out_block.view(), lanes, outs[bfloat16].data());
      }
      expect(outs[0] != outs[1], "conv1d layer: bfloat16 differs from float32");
      near(wide(outs[1]), wide(outs[0]), 1e-2, "conv1d layer in bfloat16");
    }
}

void test_whole_operators() {
  const std::vector<float> row = {0.125f, 0.375f, 0.375f, 0.125f}, bias = draw(3), noise = draw(5 * 8 * 12);
  const dsb::Shape4 in = {5, 5, 4, 6};
  const std::vector<dsb::bfloat16> x = rounded(draw(in.size())), weight = rounded(draw(3 * 5 * 9));
  const std::vector<float> styles = draw(25);
  dsb::ModulatedConv conv;
  conv.weight = {3, 5, 3, 3};
  conv.up = 2;
  conv.left = conv.right = conv.top = conv.bottom = 1;
  conv.filters = {{row.data(), 1, 4}, {row.data(), 4, 1}};
  conv.noise = noise.data();
  conv.noise_per_sample = true;
  conv.bias = bias.data();
  conv.activation = {dsb::Activation::lrelu, 0.2f, 1.414f, 256.0f};
  std::vector<float> wide_x(x.size()), wide_weight(weight.size()), expected(5 * 3 * 8 * 12);
  for (size_t e = 0; e < x.size(); ++e) wide_x[e] = static_cast<float>(value_of(x[e]));
  for (size_t e = 0; e < weight.size(); ++e) wide_weight[e] = static_cast<float>(value_of(weight[e]));
  dsb::modulated_conv2d(wide_x.data(), in, wide_weight.data(), styles.data(), conv, 1, expected.data());
  std::vector<dsb::bfloat16> one(expected.size()), many(expected.size());
  dsb::modulated_conv2d(x.data(), in, weight.data(), styles.data(), conv, 1, one.data());
  dsb::modulated_conv2d(x.data(), in, weight.data(), styles.data(), conv, 3, many.data());
  expect(one == many, "modulated_conv2d in bfloat16: threads do not change bits");
  std::vector<double> got;
  for (dsb::bfloat16 v : one) got.push_back(value_of(v));
  near(got, wide(expected), 1e-2, "modulated_conv2d in bfloat16");

  for (int64_t inner : {0, 1, 24, 5000}) {
    const std::vector<float> values = draw(2 * 3 * inner);
    const std::vector<dsb::bfloat16> half = rounded(values);
    std::vector<dsb::bfloat16> out(half.size());
    dsb::bias_act(half.data(), 2, 3, inner, bias.data(), conv.activation, 2, out.data());
    std::vector<float> f(half.size());
    for (size_t e = 0; e < f.size(); ++e) f[e] = static_cast<float>(value_of(half[e]));
    dsb::bias_act(f.data(), 2, 3, inner, bias.data(), conv.activation, 1, f.data());
    expect(out == rounded(f), "bias_act in bfloat16 is float32, rounded");
  }
  dsb::Resampling how;
  how.up_x = 2, how.left = 3, how.right = 2;
  const dsb::FilterSteps steps = {{{row.data(), 1, 4}, how}, {{row.data(), 4, 1}, {}}};
  const dsb::Shape4 shape = dsb::upfirdn2d_shape(in, steps);
  std::vector<dsb::bfloat16> resampled(static_cast<size_t>(shape.size()));
  dsb::upfirdn2d(x.data(), in, steps, 3, resampled.data());
  const dsb::Shape4 between = dsb::upfirdn2d_shape(in, steps[0].first, how);
  std::vector<float> a(static_cast<size_t>(between.size())), b(resampled.size());
  dsb::upfirdn2d(wide_x.data(), in, steps[0].first, how, 1, a.data());
  dsb::upfirdn2d(a.data(), between, steps[1].first, {}, 1, b.data());
  expect(resampled == rounded(b), "upfirdn2d in bfloat16 is float32, rounded");
}

}  // namespace

void run_bf16_tests() {
  for (const dsb::Variant& variant : dsb::variants()) {
    if (!variant.available) continue;
    const dsb::Kernels& k = dsb::kernels(variant.name);
    test_known_roundings(k);
    test_conversions(k, dsb::kernels("scalar"));
    test_conv2d(k);
    test_conv1d(k);
    test_its_own_instruction_ran(k);
  }
  test_layers();
  test_whole_operators();
}
