// Image convolutions of the active variant on exact buffers, against plain float64 loops; built with a sanitizer.
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "native/draw.h"
#include "native/expect.h"
#include "ops/dispatch.h"
#include "ops/modulated_conv2d.h"

namespace {

std::mt19937 engine(13);

std::vector<float> draw(int64_t count) { return ::draw(engine, count); }

struct Case {
  dsb::Shape4 in, weight;
  int64_t left, right, top, bottom;
  bool flip_weight;
};

std::vector<double> sums(const Case& t, const dsb::Shape4& out, const std::vector<float>& x,
                         const std::vector<float>& weight, const std::vector<float>& styles) {
  std::vector<double> result;
  for (int64_t n = 0; n < out.n; ++n)
    for (int64_t o = 0; o < out.c; ++o)
      for (int64_t y = 0; y < out.h; ++y)
        for (int64_t e = 0; e < out.w; ++e) {
          double sum = 0.0;
          for (int64_t c = 0; c < t.in.c; ++c)
            for (int64_t ky = 0; ky < t.weight.h; ++ky)
              for (int64_t kx = 0; kx < t.weight.w; ++kx) {
                const int64_t row = y + ky - t.top, column = e + kx - t.left;
                if (row < 0 || column < 0 || row >= t.in.h || column >= t.in.w) continue;
                const int64_t tap = t.flip_weight ? ky * t.weight.w + kx : (t.weight.h - ky) * t.weight.w - 1 - kx;
                sum +=
                    static_cast<double>(weight[static_cast<size_t>((o * t.in.c + c) * t.weight.h * t.weight.w + tap)]) *
                    styles[static_cast<size_t>(n * t.in.c + c)] *
                    x[static_cast<size_t>(((n * t.in.c + c) * t.in.h + row) * t.in.w + column)];
              }
          result.push_back(sum);
        }
  return result;
}

void test(const Case& t) {
  dsb::ModulatedConv conv;
  conv.weight = t.weight;
  conv.left = t.left, conv.right = t.right, conv.top = t.top, conv.bottom = t.bottom;
  conv.flip_weight = t.flip_weight;
  conv.demodulate = false;
  const dsb::Shape4 shape = dsb::modulated_conv2d_shape(t.in, conv);
  const std::vector<float> x = draw(t.in.size()), weight = draw(t.weight.size()), styles = draw(t.in.n * t.in.c);
  const std::vector<float> noise = draw(shape.h * shape.w), residual = draw(shape.size());
  std::vector<double> expected = sums(t, shape, x, weight, styles);
  const std::string what = "image convolution of " + dsb::text(t.in) + " with " + dsb::text(t.weight);
  std::vector<float> out(expected.size()), other(expected.size());
  double largest = 1.0;  // of the sums
  for (const double sum : expected) largest = std::fmax(largest, std::fabs(sum));
  const auto near = [&](const std::vector<float>& got) {
    double error = 0.0;
    for (size_t e = 0; e < expected.size(); ++e) error = std::fmax(error, std::fabs(got[e] - expected[e]));
    expect(error <= 1e-5 * largest, what);
  };
  dsb::modulated_conv2d(x.data(), t.in, weight.data(), styles.data(), conv, 1, out.data());
  near(out);
  conv.noise = noise.data(), conv.residual = residual.data();
  conv.activation = {dsb::Activation::relu, 0.0f, 1.5f, 2.0f};
  for (size_t e = 0; e < expected.size(); ++e) {
    const double y = expected[e] + noise[e % noise.size()];
    expected[e] = std::fmin(std::fmax(y, 0.0) * 1.5, 2.0) + residual[e];
  }
  dsb::modulated_conv2d(x.data(), t.in, weight.data(), styles.data(), conv, 1, out.data());
  near(out);
  dsb::modulated_conv2d(x.data(), t.in, weight.data(), styles.data(), conv, 4, other.data());
  expect(out == other, what + ": threads do not change bits");
}

}  // namespace

void run_image_conv_tests() {
  for (int64_t size : {1, 2, 3, 5, 7, 8, 9, 13, 18})
    for (int64_t wide : {1, 15, 16, 17})
      for (bool flip_weight : {false, true}) {
        test({{2, wide, size, size}, {wide % 2 ? 5 : 35, wide, 3, 3}, 1, 1, 1, 1, flip_weight});
        test({{1, wide, size, 21 - size}, {18, wide, 3, 3}, 2, 1, 3, 0, flip_weight});
        test({{2, wide, size, size + 4}, {wide % 2 ? 5 : 7, wide, 1, 1}, 0, 0, 0, 0, flip_weight});
        test({{1, wide, size, 6}, {wide % 2 ? 29 : 25, wide, 2, 4}, 0, 2, 1, 0, flip_weight});
      }
  test({{1, 3, 12, 80}, {4, 3, 3, 3}, -1, -2, -3, 1, true});
  test({{1, 3, 5, 150}, {2, 3, 3, 3}, 1, 1, 1, 1, true});
  test({{3, 80, 8, 8}, {180, 80, 3, 3}, 1, 1, 1, 1, true});  // weights above the limit for panels
  test({{1, 2, 3, 3}, {3, 2, 1, 1}, 1, 0, 0, 1, true});
}
