// The tiles of the GPU's convolutions, run on the host, against the plain loop over outputs. All numbers are small
// whole ones, so that every sum is exact and the bits have to be equal, in every type and whatever the order.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "block.h"
#include "cuda/conv.cu"
#include "cuda/conv_ffma.cuh"
#include "cuda/conv_wmma.cuh"
#include "filter_tests.h"

using namespace dsb::cuda;
using dsb::Activation;

namespace {

int failures = 0;
std::mt19937 engine(1);
int any(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine); }

template <typename T>
std::vector<T> numbers(int64_t count, int largest) {
  std::vector<T> made(count + 8);
  for (T& v : made) v = from_float<T>(static_cast<float>(any(-largest, largest)));
  return made;
}

template <typename T>
struct Layer {
  ConvCall<T> call{};
  std::vector<T> x, packed, residual, y, expected;
  std::vector<float> styles, factors, plane, bias, scale;
  std::vector<T> scaled;

  // kind 0: channels last, in whole vectors; 1: channels last, any number of them; 2: channels first
  Layer(int kind, int out_channels) {
    ConvGeometry& g = call.geometry;
    g.batch = any(1, 3), g.in_channels = kind == 0 ? 8 * any(1, 3) : any(1, 19), g.out_channels = out_channels;
    for (ConvAxis* axis : {&g.y, &g.x}) {
      axis->in = any(4, 9), axis->size = any(1, 4), axis->up = any(1, 2), axis->down = any(1, 2);
      axis->pad = any(0, 3), axis->repeat = any(0, 1) == 1;
      plan_axis("test", any(0, 3), axis);
    }
    plan_conv("test", &g);
    const dsb::Shape4 in = {g.batch, g.in_channels, g.y.in, g.x.in}, out = {g.batch, out_channels, g.y.out, g.x.out};
    g.in = kind == 2 ? channels_first(in) : channels_last(in);
    g.out = kind == 2 ? channels_first(out) : channels_last(out);
    x = numbers<T>(in.size(), 3), residual = numbers<T>(out.size(), 4);
    packed = numbers<T>(static_cast<int64_t>(g.phases()) * g.depth() * g.padded_channels, 2);
    styles = numbers<float>(g.batch * g.in_channels, 2), factors = numbers<float>(g.batch * out_channels, 2);
    plane = numbers<float>(out.h * out.w, 5), bias = numbers<float>(out_channels, 5);
    scale = numbers<float>(g.batch * out_channels, 2);
    y.assign(out.size() + 8, from_float<T>(77.0f)), expected = scaled = y;
    call.x = x.data(), call.packed = packed.data(), call.styles = styles.data();
    ConvEpilogue<T>& e = call.epilogue;
    e.demodulation = factors.data(), e.plane = plane.data(), e.bias = bias.data();
    e.activation = {Activation::relu, 0.0f, 1.0f, 1e6f};
    e.residual = residual.data(), e.residual_steps = g.out;
    e.scale = scale.data();
  }

  Dim3 grid(int rows, int columns) const {
    const auto blocks = [](int count, int size) { return static_cast<unsigned>((count + size - 1) / size); };
    const ConvGeometry& g = call.geometry;
    return {blocks(g.rows(), rows), blocks(g.out_channels, columns), static_cast<unsigned>(g.phases())};
  }

  template <typename Kernel>
  void check(const char* name, int columns, const Kernel& kernel) {
    ConvCall<T> plain = call;
    std::vector<T> plain_scaled = scaled;
    plain.epilogue.y = expected.data(), plain.epilogue.scaled = plain_scaled.data();
    conv(plain, nullptr);
    call.epilogue.y = y.data(), call.epilogue.scaled = scaled.data();
    launch(grid(128, columns), kConvThreads, [&] { kernel(call); });
    const ConvGeometry& g = call.geometry;
    for (size_t i = 0; i < y.size(); ++i) {
      if (to_float(y[i]) == to_float(expected[i]) && to_float(scaled[i]) == to_float(plain_scaled[i])) continue;
      std::printf("%s: value %zu is %g, should be %g (scaled %g, %g): %d x %d x %d x %d, out %d\n", name, i,
                  to_float(y[i]), to_float(expected[i]), to_float(scaled[i]), to_float(plain_scaled[i]), g.batch,
                  g.y.in, g.x.in, g.in_channels, g.out_channels);
      ++failures;
      return;
    }
    std::printf("%s: %d rows, %d phases, depth %d, %d channels out\n", name, g.rows(), g.phases(), g.depth(),
                g.out_channels);
  }
};

template <typename T, int kColumns>
void ordinary(const char* name) {
  for (int kind = 0; kind < 3; ++kind) {
    Layer<T> layer(kind, any(1, 2 * kColumns));
    layer.check(name, kColumns, [&](const ConvCall<T>& call) {
      kind == 0 ? conv_ffma<T, 128, kColumns, true>(call) : conv_ffma<T, 128, kColumns, false>(call);
    });
  }
}

template <typename T, int kColumns>
void matrix(const char* name) {
  for (int kind = 0; kind < 3; ++kind) {
    Layer<T> layer(kind, any(1, 2 * kColumns));
    layer.check(name, kColumns, [&](const ConvCall<T>& call) {
      kind == 0 ? conv_wmma<T, kColumns, true>(call) : conv_wmma<T, kColumns, false>(call);
    });
  }
}

void divisions() {
  const uint32_t largest = (1u << 31) - 1;
  for (int turn = 0; turn < 200000; ++turn) {
    const uint32_t by = turn % 3 == 0 ? any(1, 40) : 1 + (any(0, largest - 1) >> any(0, 30));
    const Divisor divisor(by);
    const uint32_t multiple = any(0, largest) / by * by;
    for (const uint32_t number :
         {static_cast<uint32_t>(any(0, largest)), multiple, multiple ? multiple - 1 : 0, largest}) {
      uint32_t rest = number;
      if (divisor.take(rest) == number / by && rest == number % by) continue;
      std::printf("%u / %u is wrong\n", number, by);
      ++failures;
      return;
    }
  }
  std::printf("divisions by products\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) engine.seed(std::atoi(argv[1]));
  divisions();
  ordinary<float, 128>("float32, 128 columns");
  ordinary<float, 64>("float32, 64 columns");
  ordinary<float, 16>("float32, 16 columns");
  ordinary<BFloat16, 64>("bfloat16, ordinary units, 64 columns");
  matrix<Half, 128>("float16, 128 columns");
  matrix<Half, 64>("float16, 64 columns");
  matrix<BFloat16, 64>("bfloat16, 64 columns");
  failures += filter_failures();
  return failures ? 1 : 0;
}
