#include "ops/style_block.h"

#include <algorithm>

#include "ops/thread_memory.h"
#include "ops/work.h"

namespace dsb {
namespace {

constexpr int64_t kAloneArea = 64 * 64;

// The layer for samples from `first` on: what it has one of each of.
ModulatedConv from_sample(ModulatedConv conv, int64_t first, const Shape4& result) {
  const int64_t area = result.h * result.w;
  if (conv.noise && conv.noise_per_sample) conv.noise += first * area;
  if (conv.colours.count) {
    conv.colours.styles += first * conv.weight.n;
    if (conv.colours.residual) conv.colours.residual += first * conv.colours.count * area;
  } else if (conv.residual) {
    conv.residual += first * conv.weight.n * area;
  }
  return conv;
}

struct Shapes {
  Shape4 between, result;  // not of colours
};

Shapes shapes_of(const Shape4& x, const StyleBlock& block) {
  ModulatedConv first = block.first, second = block.second;
  first.blocked_result = second.blocked = true;
  const Shape4 between = modulated_conv2d_shape(x, first);
  return {between, modulated_conv2d_shape(between, second)};
}

// Both layers for `count` samples.
void run(const float* x, const Shape4& shape, const StyleBlock& block, int64_t first, int64_t count,
         const Threads& threads, float* out) {
  const auto [between, result] = shapes_of(shape, block);
  ModulatedConv conv = from_sample(block.first, first, between);
  conv.blocked_result = true;
  const int64_t blocks = padded_channels(between.c) / kChannelBlock;
  float* values = thread_memory(ThreadMemory::between, count * blocks * blocked_plane(between.h, between.w));
  const int64_t size = shape.c * shape.h * shape.w;
  modulated_conv2d(x + (conv.x_per_sample ? first * size : 0), {count, shape.c, shape.h, shape.w}, block.first_weight,
                   block.first_styles + (conv.styles_per_sample ? first * shape.c : 0), conv, threads, values);
  conv = from_sample(block.second, first, result);
  conv.blocked = true;
  const int64_t channels = conv.colours.count ? conv.colours.count : result.c;
  modulated_conv2d(values, {count, between.c, between.h, between.w}, block.second_weight,
                   block.second_styles + (conv.styles_per_sample ? first * between.c : 0), conv, threads,
                   out + first * channels * result.h * result.w);
}

// Whether a sample is large enough for the layers' weights to be read for it alone.
bool alone(const ModulatedConv& conv, const Shape4& result) {
  const int64_t outputs = winograd_outputs(conv.weight, result.h, result.w, conv.bfloat16_products);
  return result.h * result.w >= kAloneArea && !winograd_shares_weights(conv.weight, outputs, conv.bfloat16_products);
}

}  // namespace

Shape4 style_block_shape(const Shape4& x, const StyleBlock& block) {
  Shape4 shape = shapes_of(x, block).result;
  if (block.second.colours.count) shape.c = block.second.colours.count;
  return shape;
}

void style_block(const float* x, const Shape4& shape, const StyleBlock& block, const Threads& threads, float* out) {
  const Shape4 result = style_block_shape(shape, block);
  if (!alone(block.first, result) || !alone(block.second, result))
    return run(x, shape, block, 0, shape.n, threads, out);
  // A sample a thread as long as there is one for each, then all on the rest.
  const int64_t parts = static_cast<int64_t>(threads.count()), across = shape.n / parts * parts;
  parallel_for(static_cast<uint64_t>(across), threads,
               [&](uint64_t n) { run(x, shape, block, static_cast<int64_t>(n), 1, Threads(1), out); });
  if (across < shape.n) run(x, shape, block, across, shape.n - across, threads, out);
}

}  // namespace dsb
