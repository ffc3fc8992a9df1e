// Style blocks of the active variant on exact buffers, against the layers one by one; built with a sanitizer.
#include <random>
#include <string>
#include <vector>

#include "native/draw.h"
#include "native/expect.h"
#include "ops/style_block.h"

namespace {

std::mt19937 engine(17);

std::vector<float> draw(int64_t count) { return ::draw(engine, count); }

struct Case {
  dsb::Shape4 in;
  int64_t between, out, colours;
  bool enlarged, bfloat16;
};

// A layer's values, which live as long as it does.
struct Layer {
  std::vector<float> weight, styles, noise, gain, bias;
  dsb::ModulatedConv conv;

  Layer(const dsb::Shape4& in, int64_t out, const dsb::Shape4& plane, const Case& t)
      : weight(draw(out * in.c * 9)),
        styles(draw(in.n * in.c)),
        noise(draw(plane.n * plane.h * plane.w)),
        gain(draw(out)),
        bias(draw(out)) {
    conv.weight = {out, in.c, 3, 3};
    conv.left = conv.right = conv.top = conv.bottom = 1;
    conv.noise = noise.data(), conv.noise_per_sample = true;
    conv.noise_gain = gain.data(), conv.bias = bias.data();
    conv.activation = {dsb::Activation::lrelu, 0.2f, 1.5f, 4.0f};
    conv.bfloat16_products = t.bfloat16;
  }
};

void test(const Case& t) {
  const int64_t by = t.enlarged ? 2 : 1;
  const dsb::Shape4 between = {t.in.n, t.between, by * t.in.h, by * t.in.w};
  const int64_t area = between.h * between.w;
  Layer first(t.in, t.between, between, t), second(between, t.out, between, t);
  first.conv.enlarged = t.enlarged;
  const std::vector<float> x = draw(t.in.size()), weight = draw(t.colours * t.out), styles = draw(t.in.n * t.out);
  const std::vector<float> residual = draw(t.in.n * t.colours * area);
  const std::string what = "style block of " + dsb::text(t.in);

  std::vector<float> middle(static_cast<size_t>(between.size())), expected(static_cast<size_t>(t.in.n * t.out * area));
  dsb::modulated_conv2d(x.data(), t.in, first.weight.data(), first.styles.data(), first.conv, 1, middle.data());
  dsb::modulated_conv2d(middle.data(), between, second.weight.data(), second.styles.data(), second.conv, 1,
                        expected.data());
  dsb::StyleBlock block = {first.conv,           second.conv,         first.weight.data(),
                           second.weight.data(), first.styles.data(), second.styles.data()};
  if (t.colours) {
    block.second.colours = {t.colours, weight.data(), styles.data(), residual.data()};
    dsb::ModulatedConv to_rgb;
    to_rgb.weight = {t.colours, t.out, 1, 1}, to_rgb.demodulate = false, to_rgb.residual = residual.data();
    std::vector<float> image(residual.size());
    dsb::modulated_conv2d(expected.data(), {t.in.n, t.out, between.h, between.w}, weight.data(), styles.data(), to_rgb,
                          1, image.data());
    expected = image;
  }
  for (unsigned threads : {1u, 2u, 4u}) {
    std::vector<float> out(expected.size());
    dsb::style_block(x.data(), t.in, block, threads, out.data());
    expect(out == expected, what + ": the bits of the layers");
  }
}

}  // namespace

void run_style_block_tests() {
  for (int64_t channels : {1, 16, 35})
    for (bool bfloat16 : {false, true})
      for (int64_t colours : {0, 3}) {
        test({{2, channels, 4, 4}, 17, 18, colours, false, bfloat16});
        test({{2, channels, 12, 20}, 5, 32, colours, false, bfloat16});
        test({{1, channels, 6, 14}, 33, 7, colours, true, bfloat16});
      }
  test({{3, 3, 64, 64}, 5, 4, 4, false, false});  // a sample at a time
  test({{3, 2, 32, 34}, 17, 3, 0, true, true});
  test({{2, 130, 4, 4}, 520, 70, 0, true, false});  // weights above the limit for panels
}
