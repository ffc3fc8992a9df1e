// The image operators of every variant on exact buffers, against plain float64 loops; built with a sanitizer.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "native/draw.h"
#include "native/expect.h"
#include "ops/bias_act.h"
#include "ops/dispatch.h"
#include "ops/microvolt.h"
#include "ops/modulated_conv2d.h"
#include "ops/upfirdn2d.h"

namespace {

std::mt19937 engine(7);

std::vector<float> draw(int64_t count) { return ::draw(engine, count); }

void near(const std::vector<float>& got, const std::vector<double>& expected, const std::string& what) {
  double largest = 1e-30, error = 0.0;
  for (size_t e = 0; e < expected.size(); ++e) {
    largest = std::fmax(largest, std::fabs(expected[e]));
    error = std::fmax(error, std::fabs(got[e] - expected[e]));
  }
  expect(got.size() == expected.size() && error <= 1e-5 * largest, what);
}

// One plane, straight from the description: every output gathers from the enlarged image.
void test_upfirdn2d(const dsb::Kernels& k) {
  for (int64_t width : {1, 2, 7, 8, 9, 15, 16, 17, 33})
    for (int64_t up : {1, 2, 3})
      for (int64_t down : {1, 2, 3})
        for (int64_t pad : {-1, 0, 4}) {
          dsb::UpfirdnPlane p = {3, width, 0, 0, up, up, down, down, pad, pad, 3, 4};
          const int64_t height = 3 * up + 2 * pad - 3, columns = width * up + 2 * pad - 4;
          if (height < 0 || columns < 0) continue;
          p.out_height = height / down + 1, p.out_width = columns / down + 1;
          const std::vector<float> x = draw(3 * width), taps = draw(12);
          std::vector<float> out(static_cast<size_t>(p.out_height * p.out_width));
          k.upfirdn2d(p, x.data(), taps.data(), 1.5f, out.data());
          std::vector<double> expected;
          for (int64_t oy = 0; oy < p.out_height; ++oy)
            for (int64_t ox = 0; ox < p.out_width; ++ox) {
              double sum = 0.0;
              for (int64_t ty = 0; ty < 3; ++ty)
                for (int64_t tx = 0; tx < 4; ++tx) {
                  const int64_t v = oy * down + ty - pad, u = ox * down + tx - pad;
                  if (v < 0 || u < 0 || v >= 3 * up || u >= width * up || v % up || u % up) continue;
                  sum += static_cast<double>(taps[static_cast<size_t>(ty * 4 + tx)]) *
                         x[static_cast<size_t>(v / up * width + u / up)];
                }
              expected.push_back(1.5 * sum);
            }
          near(out, expected, std::string(k.name) + ": upfirdn2d");
        }
}

void test_conv2d(const dsb::Kernels& k) {
  for (int64_t width : {3, 8, 17, 66, 67, 130})
    for (bool flip : {false, true}) {
      const dsb::ConvPlane p = {5, 4, width, 2, width - 2, 3, 3, flip};
      const std::vector<float> x = draw(5 * 4 * width), weight = draw(5 * 9);
      std::vector<float> out(static_cast<size_t>(2 * (width - 2)));
      k.conv2d(p, x.data(), weight.data(), out.data());
      std::vector<double> expected;
      for (int64_t y = 0; y < 2; ++y)
        for (int64_t o = 0; o < width - 2; ++o) {
          double sum = 0.0;
          for (int64_t c = 0; c < 5; ++c)
            for (int64_t t = 0; t < 9; ++t)
              sum += static_cast<double>(weight[static_cast<size_t>(c * 9 + (flip ? 8 - t : t))]) *
                     x[static_cast<size_t>((c * 4 + y + t / 3) * width + o + t % 3)];
          expected.push_back(sum);
        }
      near(out, expected, std::string(k.name) + ": conv2d");
    }
}

void test_bias_act(const dsb::Kernels& k, const dsb::Kernels& reference) {
  for (int kind = 0; kind < 10; ++kind)
    for (int64_t count : {0, 1, 7, 8, 16, 33}) {
      const dsb::ActivationOptions options = {static_cast<dsb::Activation>(kind), 0.2f, 1.25f, kind % 2 ? 2.0f : -1.0f};
      const std::vector<float> x = draw(count), bias = draw(count ? count : 1);
      for (size_t step : {0, 1}) {
        std::vector<float> a(x.size()), b(x.size());
        k.bias_act(x.data(), x.size(), bias.data(), step, options, a.data());
        reference.bias_act(x.data(), x.size(), bias.data(), step, options, b.data());
        near(a, std::vector<double>(b.begin(), b.end()), std::string(k.name) + ": bias_act");
      }
    }
}

void test_whole_operators() {
  const std::vector<float> row = {0.125f, 0.375f, 0.375f, 0.125f};
  dsb::ModulatedConv conv;
  conv.weight = {3, 2, 3, 3};
  conv.up = 2;
  conv.left = conv.right = conv.top = conv.bottom = 1;
  conv.filters = {{row.data(), 1, 4}, {row.data(), 4, 1}};
  const dsb::Shape4 in = {5, 2, 4, 6};
  const dsb::Shape4 shape = dsb::modulated_conv2d_shape(in, conv);
  expect(shape.n == 5 && shape.c == 3 && shape.h == 8 && shape.w == 12, "modulated_conv2d doubles the size");
  const std::vector<float> x = draw(in.size()), weight = draw(3 * 2 * 9), styles = draw(10), bias = draw(3);
  const std::vector<float> noise = draw(5 * 8 * 12);
  conv.noise = noise.data();
  conv.noise_per_sample = true;
  conv.bias = bias.data();
  conv.activation = {dsb::Activation::lrelu, 0.2f, 1.414f, 256.0f};
  std::vector<float> one(static_cast<size_t>(shape.size())), many(one.size());
  dsb::modulated_conv2d(x.data(), in, weight.data(), styles.data(), conv, 1, one.data());
  dsb::modulated_conv2d(x.data(), in, weight.data(), styles.data(), conv, 3, many.data());
  expect(one == many, "modulated_conv2d: threads do not change bits");
  const dsb::ConvWeights prepared(conv.weight, !conv.flip_weight);
  conv.prepared = &prepared;
  for (int k = 0; k < 2; ++k) {
    dsb::modulated_conv2d(x.data(), in, weight.data(), styles.data(), conv, 1, many.data());
    expect(one == many, "modulated_conv2d: what was made of a weight before does not change bits");
  }
  expect(dsb::modulated_conv2d_largest(in, conv) == 5 * 3 * 8 * 12, "modulated_conv2d: its largest tensor");

  bool thrown = false;
  try {
    dsb::modulated_conv2d_shape({1, 3, 4, 4}, conv);
  } catch (const std::invalid_argument& error) {
    thrown = std::string(error.what()).find("[1, 3, 4, 4]") != std::string::npos;
  }
  expect(thrown, "modulated_conv2d names the shape that does not fit");
}

void test_filter_steps() {
  const std::vector<float> row = {0.5f, 1.0f, 0.25f}, x = draw(2 * 3 * 7 * 9);
  const dsb::Shape4 in = {2, 3, 7, 9};
  dsb::Resampling how;
  how.up_x = how.down_y = 2;
  how.left = how.top = 2;
  how.gain = 3.0f;
  const dsb::FilterSteps steps = dsb::filter_steps({{row.data(), 1, 3}, {row.data(), 3, 1}}, how);
  const dsb::Shape4 shape = dsb::upfirdn2d_shape(in, steps);
  expect(shape.h == 4 && shape.w == 18, "a separable filter's size");
  std::vector<float> full(9), whole(static_cast<size_t>(shape.size())), apart(whole.size());
  for (size_t e = 0; e < 9; ++e) full[e] = row[e / 3] * row[e % 3];
  dsb::upfirdn2d(x.data(), in, {full.data(), 3, 3}, how, 2, whole.data());
  dsb::upfirdn2d(x.data(), in, steps, 2, apart.data());
  near(apart, std::vector<double>(whole.begin(), whole.end()), "a separable filter does what its full one does");
  expect(dsb::largest_size(in, steps) == 2 * 3 * 7 * 18, "the tensor between rows and columns");
  expect(dsb::saturated_size({1, int64_t{1} << 40, 0, int64_t{1} << 30}) == INT64_MAX, "sizes saturate");
}

void test_microvolt() {
  for (size_t size : {0, 1, 600001}) {
    std::vector<float> signal = draw(static_cast<int64_t>(size));
    std::vector<int16_t> one(size), many(size);
    expect(dsb::microvolt(signal.data(), size, 6000.0f, 1, one.data()), "microvolt: numbers");
    expect(dsb::microvolt(signal.data(), size, 6000.0f, 3, many.data()) && one == many, "microvolt: threads");
    if (size == 0) continue;
    signal[size - 1] = std::nanf("");
    expect(!dsb::microvolt(signal.data(), size, 6000.0f, 3, many.data()), "microvolt: not a number is reported");
  }
}

}  // namespace

void run_op_tests() {
  for (const dsb::Variant& variant : dsb::variants()) {
    if (!variant.available) continue;
    const dsb::Kernels& k = dsb::kernels(variant.name);
    test_upfirdn2d(k);
    test_conv2d(k);
    test_bias_act(k, dsb::kernels("scalar"));
  }
  test_whole_operators();
  test_filter_steps();
  test_microvolt();
}
