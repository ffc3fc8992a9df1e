// The layers of the GI-tract network on exact buffers, every variant's kernels against plain float64 loops and whole
// operators with one thread against several; built with a sanitizer.
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "native/draw.h"
#include "native/expect.h"
#include "ops/conv1x1.h"
#include "ops/conversions.h"
#include "ops/dense.h"
#include "ops/dispatch.h"
#include "ops/image_layers.h"
#include "ops/linear_attention.h"
#include "ops/modulated_conv2d.h"

namespace {

std::mt19937 engine(11);

std::vector<float> draw(int64_t count) { return ::draw(engine, count); }

void near(const std::vector<float>& got, const std::vector<double>& expected, const std::string& what) {
  double largest = 1e-30, error = 0.0;
  for (size_t e = 0; e < expected.size(); ++e) {
    largest = std::fmax(largest, std::fabs(expected[e]));
    error = std::fmax(error, std::fabs(got[e] - expected[e]));
  }
  expect(got.size() == expected.size() && error <= 1e-5 * largest, what);
}

void test_matmul(const dsb::Kernels& k) {
  for (int64_t rows : {0, 1, 5, 6, 7, 13})
    for (int64_t columns : {0, 1, 7, 8, 15, 16, 17, 63, 64, 65, 79})
      for (int64_t terms : {0, 1, 9}) {
        const dsb::MatrixProduct p = {rows, columns, terms, terms, columns, columns};
        const std::vector<float> a = draw(rows * terms), b = draw(terms * columns);
        std::vector<float> out(static_cast<size_t>(rows * columns), 9.0f);
        if (!out.empty()) k.matmul(p, a.data(), b.data(), out.data());
        std::vector<double> expected;
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < columns; ++c) {
            double sum = 0.0;
            for (int64_t t = 0; t < terms; ++t)
              sum +=
                  static_cast<double>(a[static_cast<size_t>(r * terms + t)]) * b[static_cast<size_t>(t * columns + c)];
            expected.push_back(sum);
          }
        near(out, expected, std::string(k.name) + ": matmul");
      }
}

void test_softmax(const dsb::Kernels& k) {
  for (int64_t columns : {1, 7, 16, 63, 64, 65, 130})
    for (int64_t rows : {1, 5}) {
      const std::vector<float> x = draw(rows * columns);
      std::vector<float> out(x.size());
      k.softmax_columns(x.data(), rows, columns, columns, 3.0f, 0.5f, out.data(), columns);
      std::vector<double> expected(x.size());
      for (size_t c = 0; c < static_cast<size_t>(columns); ++c) {
        double sum = 0.0;
        for (size_t e = c; e < x.size(); e += static_cast<size_t>(columns)) sum += std::exp(3.0 * x[e]);
        for (size_t e = c; e < x.size(); e += static_cast<size_t>(columns))
          expected[e] = 0.5 * std::exp(3.0 * x[e]) / sum;
      }
      near(out, expected, std::string(k.name) + ": softmax_columns");
    }
  for (size_t count : {0, 1, 15, 16, 17, 63, 64, 65}) {
    const std::vector<float> x = draw(static_cast<int64_t>(count));
    float largest = -std::numeric_limits<float>::infinity();
    for (float v : x) largest = std::fmax(largest, -2.0f * v);
    expect(k.row_maximum(x.data(), count, -2.0f) == largest, std::string(k.name) + ": row_maximum");
    std::vector<float> out(count ? 3 * count - 2 : 0), picked;
    k.exp_row(x.data(), count, -2.0f, largest, out.data(), 3);
    std::vector<double> expected;
    for (size_t e = 0; e < count; ++e) {
      picked.push_back(out[3 * e]);
      expected.push_back(std::exp(-2.0 * x[e] - largest));
    }
    near(picked, expected, std::string(k.name) + ": exp_row");
  }
}

size_t at(int64_t y, int64_t x, int64_t width) { return static_cast<size_t>(y * width + x); }

void test_neighbours(const dsb::Kernels& k) {
  const auto clamp = [](int64_t v, int64_t size) { return v < 0 ? 0 : v >= size ? size - 1 : v; };
  const auto reflect = [](int64_t v, int64_t size) {
    return size == 1 ? 0 : v < 0 ? -v : v >= size ? 2 * size - 2 - v : v;
  };
  for (int64_t height : {1, 2, 5})
    for (int64_t width : {1, 2, 7, 16, 63, 64, 65, 129}) {
      const std::vector<float> x = draw(height * width);
      std::vector<float> up(4 * x.size()), blurred(x.size());
      k.bilinear_up2(x.data(), height, width, up.data());
      k.blur2d(x.data(), height, width, blurred.data());
      std::vector<double> enlarged, smooth;
      for (int64_t oy = 0; oy < 2 * height; ++oy)
        for (int64_t ox = 0; ox < 2 * width; ++ox) {
          const int64_t y = oy / 2, z = ox / 2, fy = clamp(oy % 2 ? y + 1 : y - 1, height);
          const int64_t fx = clamp(ox % 2 ? z + 1 : z - 1, width);
          enlarged.push_back(0.5625 * x[at(y, z, width)] + 0.1875 * x[at(fy, z, width)] + 0.1875 * x[at(y, fx, width)] +
                             0.0625 * x[at(fy, fx, width)]);
        }
      for (int64_t y = 0; y < height; ++y)
        for (int64_t z = 0; z < width; ++z) {
          double sum = 0.0;
          for (int64_t dy = -1; dy <= 1; ++dy)
            for (int64_t dx = -1; dx <= 1; ++dx)
              sum += (dy ? 1.0 : 2.0) * (dx ? 1.0 : 2.0) / 16.0 *
                     x[at(reflect(y + dy, height), reflect(z + dx, width), width)];
          smooth.push_back(sum);
        }
      near(up, enlarged, std::string(k.name) + ": bilinear_up2");
      near(blurred, smooth, std::string(k.name) + ": blur2d");
    }
}

void test_channel_norm_and_grey_levels(const dsb::Kernels& k) {
  const int64_t channels = 5;
  for (int64_t count : {1, 7, 8, 9, 16, 17, 63, 64, 65}) {
    const std::vector<float> x = draw(channels * count), gain = draw(channels), bias = draw(channels);
    std::vector<float> out(x.size());
    k.channel_norm(x.data(), channels, count, count, gain.data(), bias.data(), 1e-5f, false, out.data());
    std::vector<double> expected(x.size());
    std::vector<uint8_t> levels(x.size()), rounded(x.size());
    expect(k.grey_levels(x.data(), channels, count, 127.5f, 128.0f, levels.data()), std::string(k.name) + ": numbers");
    for (size_t e = 0, n = static_cast<size_t>(count); e < n; ++e) {
      double mean = 0.0, variance = 0.0;
      for (size_t c = 0; c < channels; ++c) mean += x[c * n + e] / channels;
      for (size_t c = 0; c < channels; ++c) variance += std::pow(x[c * n + e] - mean, 2) / channels;
      for (size_t c = 0; c < channels; ++c) {
        expected[c * n + e] = (x[c * n + e] - mean) / std::sqrt(variance + 1e-5) * gain[c] + bias[c];
        const float product = x[c * n + e] * 127.5f, level = product + 128.0f;
        rounded[e * channels + c] = static_cast<uint8_t>(std::fmin(std::fmax(level, 0.0f), 255.0f));
      }
    }
    near(out, expected, std::string(k.name) + ": channel_norm");
    expect(levels == rounded, std::string(k.name) + ": grey_levels");
    std::vector<float> broken = x;
    broken.back() = std::numeric_limits<float>::quiet_NaN();
    expect(!k.grey_levels(broken.data(), channels, count, 1.0f, 0.0f, levels.data()), "not a number is reported");
  }
}

void test_norms_with_eps_elsewhere_and_over_positions(const dsb::Kernels& k) {
  for (int64_t count : {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65, 257}) {
    const size_t n = static_cast<size_t>(count);
    const std::vector<float> x = draw(count), gain = {0.7f}, bias = {-0.3f};
    std::vector<float> over(n), within(n), one(n, 1.0f), zero(n, 0.0f);
    k.instance_norm(x.data(), count, gain[0], bias[0], 1e-2f, over.data());
    k.channel_norm(x.data(), count, 1, 1, one.data(), zero.data(), 1e-2f, true, within.data());
    double mean = 0.0, variance = 0.0;
    for (float value : x) mean += value / static_cast<double>(count);
    for (float value : x) variance += std::pow(value - mean, 2) / static_cast<double>(count);
    std::vector<double> normal(n), plain(n);
    for (size_t e = 0; e < n; ++e) {
      normal[e] = (x[e] - mean) / std::sqrt(variance + 1e-2f) * gain[0] + bias[0];
      plain[e] = (x[e] - mean) / (std::sqrt(variance) + 1e-2f);
    }
    near(over, normal, std::string(k.name) + ": instance_norm");
    near(within, plain, std::string(k.name) + ": channel_norm, eps to the deviation");
  }
}

// body(threads, out) with 1 and with 3 threads.
void same_bits(int64_t size, const std::string& what, const std::function<void(unsigned, float*)>& body) {
  std::vector<float> one(static_cast<size_t>(size)), many(one.size(), 1.0f);
  body(1u, one.data());
  body(3u, many.data());
  expect(one == many, what + ": threads do not change bits");
}

void test_whole_layers() {
  const dsb::Shape4 s = {2, 24, 33, 67};
  const std::vector<float> x = draw(s.size()), gain = draw(24), bias = draw(31), weight = draw(31 * 24);
  const std::vector<float> residual = draw(2 * 31 * 33 * 67), taps = draw(24 * 9);
  same_bits(4 * s.size(), "upsample_bilinear2d",
            [&](unsigned threads, float* out) { dsb::upsample_bilinear2d(x.data(), s, threads, out); });
  same_bits(s.size(), "blur2d", [&](unsigned threads, float* out) { dsb::blur2d(x.data(), s, threads, out); });
  same_bits(s.size(), "channel_norm", [&](unsigned threads, float* out) {
    dsb::channel_norm(x.data(), s, gain.data(), bias.data(), 1e-5f, true, threads, out);
  });
  same_bits(s.size(), "instance_norm", [&](unsigned threads, float* out) {
    dsb::instance_norm(x.data(), s, gain.data(), bias.data(), 1e-5f, threads, out);
  });
  same_bits(s.size(), "depthwise_conv2d", [&](unsigned threads, float* out) {
    dsb::depthwise_conv2d(x.data(), s, taps.data(), {3, 3, 1}, threads, out);
  });
  dsb::Conv1x1 conv = {weight.data(), 31};
  conv.bias = bias.data();
  conv.residual = residual.data();
  conv.activation = {dsb::Activation::gelu, 0.0f, 0.5f, -1.0f};
  same_bits(2 * 31 * 33 * 67, "conv1x1",
            [&](unsigned threads, float* out) { dsb::conv1x1(x.data(), s, conv, threads, out); });
  const dsb::Shape4 v = {2, 9, 33, 67};
  const dsb::LinearAttention attention = {3, 0.5f, 0.5f, 1.0f};
  expect(dsb::linear_attention_shape(s, s, v, attention).c == 9, "linear_attention has the shape of v");
  same_bits(v.size(), "linear_attention", [&](unsigned threads, float* out) {
    dsb::linear_attention(x.data(), x.data(), x.data(), s, v, attention, threads, out);
  });
  dsb::DenseSpec spec = {300, 130};
  spec.activation = {dsb::Activation::lrelu, 0.2f, 1.0f, -1.0f};
  const std::vector<float> matrix = draw(300 * 130);
  const dsb::DenseLayer layer(spec, matrix.data(), nullptr);
  same_bits(7 * 130, "dense", [&](unsigned threads, float* out) { layer.run(x.data(), 7, threads, out); });

  std::vector<float> latent = draw(20);
  dsb::normalize_latent(latent.data(), 2, 10, dsb::LatentNorm::l2, latent.data());
  double length = 0.0;
  for (size_t e = 0; e < 10; ++e) length += std::pow(latent[e], 2);
  expect(std::fabs(length - 1.0) < 1e-6, "normalize_latent: length 1");
  std::vector<uint8_t> levels(x.size());
  expect(dsb::grey_levels(x.data(), s, 255.0f, 0.5f, 3, levels.data()), "grey_levels: all are numbers");

  dsb::ModulatedConv modulated;
  modulated.weight = {3, 24, 1, 1};
  modulated.noise = residual.data();
  modulated.noise_gain = gain.data();
  modulated.bias = bias.data();
  modulated.style_offset = 1.0f;
  modulated.residual = residual.data();
  same_bits(2 * 3 * 33 * 67, "modulated_conv2d with all extensions", [&](unsigned threads, float* out) {
    dsb::modulated_conv2d(x.data(), s, weight.data(), matrix.data(), modulated, threads, out);
  });
  modulated.x_per_sample = false;
  const std::vector<float> alone = draw(24 * 5 * 6);
  same_bits(9 * 3 * 5 * 6, "modulated_conv2d of one image for all samples", [&](unsigned threads, float* out) {
    dsb::modulated_conv2d(alone.data(), {9, 24, 5, 6}, weight.data(), matrix.data(), modulated, threads, out);
  });
  const std::vector<float> style = draw(24);
  modulated.x_per_sample = true;
  modulated.styles_per_sample = false;
  same_bits(2 * 3 * 33 * 67, "modulated_conv2d of one style for all samples", [&](unsigned threads, float* out) {
    dsb::modulated_conv2d(x.data(), s, weight.data(), style.data(), modulated, threads, out);
  });
}

void test_styles_and_noise() {
  const int64_t sizes[] = {1, 2, 15, 16, 17, 40};
  for (const int64_t size : sizes) {
    const int64_t height = size + 3, width = size + 1;
    const std::vector<float> x = draw(9 * height * width);
    std::vector<float> out(static_cast<size_t>(9 * size * size));
    dsb::noise_planes(x.data(), 9, height, width, size, 3, out.data());
    bool good = true;
    for (int64_t e = 0; e < 9 * size * size; ++e) {
      const int64_t n = e / (size * size), row = e / size % size, column = e % size;
      good &= out[static_cast<size_t>(e)] == x[static_cast<size_t>((n * height + column) * width + row)];
    }
    expect(good, "noise_planes: the corner, turned");

    const std::vector<float> rows = draw(4 * 3 * size), mean = draw(size);
    std::vector<float> means(static_cast<size_t>(4 * size)), truncated(means.size());
    std::vector<double> expected;
    dsb::mean_rows(rows.data(), 4, 3, size, means.data());
    for (int64_t e = 0; e < 4 * size; ++e) {
      const float* at = rows.data() + e / size * 3 * size + e % size;
      expected.push_back((static_cast<double>(at[0]) + at[size] + at[2 * size]) / 3.0);
    }
    near(means, expected, "mean_rows");
    dsb::truncate_styles(means.data(), 4, size, mean.data(), 0.25f, truncated.data());
    for (size_t e = 0; e < expected.size(); ++e) {
      const double m = mean[e % static_cast<size_t>(size)];
      expected[e] = m + 0.25 * (means[e] - m);
    }
    near(truncated, expected, "truncate_styles");
  }
}

void test_refusals() {
  const dsb::Shape4 s = {1, 6, 2, 2};
  const auto refused = [](auto&& call, const std::string& word) {
    try {
      call();
    } catch (const std::invalid_argument& error) {
      return std::string(error.what()).find(word) != std::string::npos;
    }
    return false;
  };
  expect(refused([&] { dsb::linear_attention_shape(s, s, s, {4}); }, "4 heads"), "heads that do not divide");
  expect(refused([&] { dsb::linear_attention_shape(s, s, s, {0}); }, "heads"), "no heads");
  expect(refused([&] { dsb::linear_attention_shape(s, {1, 6, 2, 3}, s, {2}); }, "[1, 6, 2, 3]"), "k of another shape");
  expect(refused([&] { dsb::linear_attention_shape(s, s, {2, 6, 2, 2}, {2}); }, "[2, 6, 2, 2]"), "v of another batch");
  expect(refused([&] { dsb::depthwise_conv2d_shape(s, {3, 3, 0}); }, "too small"), "an image below the kernel");
  expect(refused([&] { dsb::depthwise_conv2d_shape(s, {0, 3, 0}); }, "at least 1"), "a kernel without taps");
}

}  // namespace

void run_layer_tests() {
  for (const dsb::Variant& variant : dsb::variants()) {
    if (!variant.available) continue;
    const dsb::Kernels& k = dsb::kernels(variant.name);
    test_matmul(k);
    test_softmax(k);
    test_neighbours(k);
    test_channel_norm_and_grey_levels(k);
    test_norms_with_eps_elsewhere_and_over_positions(k);
  }
  test_whole_layers();
  test_styles_and_noise();
  test_refusals();
}
