// Filters of four taps along both axes, every variant on exact buffers, against the kernel for any filter; built with a
// sanitizer.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "native/draw.h"
#include "native/expect.h"
#include "ops/dispatch.h"
#include "ops/modulated_conv2d.h"

namespace {

std::mt19937 engine(17);

// `offset` floats off a line of memory.
struct Lines {
  Lines(int64_t count, int64_t offset)
      : memory(static_cast<float*>(std::aligned_alloc(64, static_cast<size_t>((count + offset + 15) / 16 * 64)))),
        data(memory + offset) {}
  ~Lines() { std::free(memory); }
  float *memory, *data;
};

void test(const dsb::Kernels& k, int64_t height, int64_t width, int64_t up, int64_t down, int64_t pad,
          bool past_cache) {
  const int64_t rows = (height * up + 2 * pad - 4) / down + 1, columns = (width * up + 2 * pad - 4) / down + 1;
  if (height * up + 2 * pad < 4 || width * up + 2 * pad < 4) return;
  const int64_t planes = 3;
  const std::vector<float> x = draw(engine, planes * height * width), taps_x = draw(engine, 4),
                           taps_y = draw(engine, 4);
  const dsb::UpfirdnPlane along_x = {height, width, height, columns, 1, up, 1, down, 0, pad, 1, 4};
  const dsb::UpfirdnPlane along_y = {height, columns, rows, columns, up, 1, down, 1, pad, 0, 4, 1};
  std::vector<float> between(static_cast<size_t>(height * columns)), expected;
  for (int64_t plane = 0; plane < planes; ++plane) {
    std::vector<float> out(static_cast<size_t>(rows * columns));
    k.upfirdn2d(along_x, x.data() + plane * height * width, taps_x.data(), 1.0f, between.data());
    k.upfirdn2d(along_y, between.data(), taps_y.data(), 1.5f, out.data());
    expected.insert(expected.end(), out.begin(), out.end());
  }
  const int64_t row = (columns + 31) / 32 * 32;
  const dsb::FilterPlane p = {height, width, rows, columns, up, down, pad, pad, row};
  std::vector<float> memory(static_cast<size_t>(6 * row + dsb::kFilterStream + 16));
  for (int64_t offset : {0, 5}) {
    const Lines out(planes * rows * columns, offset);
    k.filter_planes(p, planes, x.data(), taps_x.data(), taps_y.data(), 1.5f, past_cache, memory.data(), out.data);
    expect(std::vector<float>(out.data, out.data + expected.size()) == expected,
           std::string(k.name) + ": filter_planes of " + std::to_string(height) + " x " + std::to_string(width));
  }
}

void test(const dsb::Kernels& k) {
  for (int64_t width : {0, 1, 2, 7, 8, 9, 15, 16, 17, 32, 33, 70})
    for (int64_t height : {1, 5})
      for (int64_t pad : {-2, -1, 0, 1, 2, 7})
        for (bool past_cache : {false, true}) {
          test(k, height, width, 1, 1, pad, past_cache);
          test(k, height, width, 2, 1, pad, past_cache);
          test(k, height, width, 1, 2, pad, past_cache);
        }
  test(k, 64, 80, 2, 1, 2, true);  // several times what is collected
  test(k, 64, 77, 2, 1, 2, true);
}

// An up-sampling layer in phases, against the route for any filter: the same one, not taken apart.
void test_phases(const dsb::Shape4& in, int64_t outputs, bool flip_weight) {
  const std::vector<float> row = draw(engine, 4), column = draw(engine, 4), x = draw(engine, in.size());
  const std::vector<float> weight = draw(engine, outputs * in.c * 9), styles = draw(engine, in.n * in.c);
  std::vector<float> full(16);
  for (size_t e = 0; e < 16; ++e) full[e] = column[e / 4] * row[e % 4];
  dsb::ModulatedConv conv;
  conv.weight = {outputs, in.c, 3, 3};
  conv.up = 2, conv.left = conv.right = conv.top = conv.bottom = 1;
  conv.flip_weight = flip_weight;
  conv.filters = {{full.data(), 4, 4}};
  const dsb::Shape4 shape = dsb::modulated_conv2d_shape(in, conv);
  const std::vector<float> noise = draw(engine, shape.h * shape.w), bias = draw(engine, outputs);
  const std::vector<float> residual = draw(engine, shape.size());
  conv.noise = noise.data(), conv.bias = bias.data(), conv.residual = residual.data();
  conv.activation = {dsb::Activation::lrelu, 0.2f, 1.5f, 4.0f};
  std::vector<float> expected(static_cast<size_t>(shape.size())), out(expected.size()), other(expected.size());
  dsb::modulated_conv2d(x.data(), in, weight.data(), styles.data(), conv, 1, expected.data());
  conv.filters = {{row.data(), 1, 4}, {column.data(), 4, 1}};
  dsb::modulated_conv2d(x.data(), in, weight.data(), styles.data(), conv, 1, out.data());
  dsb::modulated_conv2d(x.data(), in, weight.data(), styles.data(), conv, 3, other.data());
  const std::string what = "up-sampling layer of " + dsb::text(in) + " to " + std::to_string(outputs) + " channels";
  double error = 0.0, size = 0.0;  // the other route has the error of Winograd's transforms
  for (size_t e = 0; e < out.size(); ++e) {
    error += std::pow(static_cast<double>(out[e]) - expected[e], 2);
    size += std::pow(static_cast<double>(expected[e]), 2);
  }
  expect(error <= 1e-10 * size, what);
  expect(out == other, what + ": threads do not change bits");
}

void test_phases() {
  for (int64_t size : {1, 2, 3, 4, 5, 8, 13})
    for (int64_t wide : {1, 16, 17})
      for (bool flip_weight : {false, true}) {
        test_phases({2, wide, size, size}, wide % 2 ? 5 : 35, flip_weight);
        test_phases({1, wide, size, 20 - size}, 18, flip_weight);
      }
  test_phases({0, 3, 4, 5}, 7, false);
  test_phases({2, 3, 64, 61}, 50, false);   // rows in bands
  test_phases({3, 300, 7, 8}, 290, false);  // weights above the limit for panels
}

}  // namespace

void run_resampling_tests() {
  test_phases();
  for (const auto& variant : dsb::variants())
    if (variant.available) test(dsb::kernels(variant.name));
}
