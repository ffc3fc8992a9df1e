#include "cuda/conv_geometry.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

namespace dsb {
namespace cuda {
namespace {

constexpr int kMostBlocks = 65535;  // of a launch along y, columns, and z, phases

}  // namespace

void plan_axis(const char* what, int pad_after, ConvAxis* axis) {
  const int64_t enlarged = static_cast<int64_t>(axis->in) * axis->up + axis->pad + pad_after;
  if (axis->size < 1 || axis->up < 1 || axis->down < 1 || enlarged < axis->size)
    throw std::invalid_argument(std::string(what) + ": " + std::to_string(enlarged) + " points and " +
                                std::to_string(axis->size) + " taps; it needs a tap, and a point for every tap");
  if (enlarged + axis->size + axis->down > std::numeric_limits<int>::max() / 4)
    throw std::invalid_argument(std::string(what) + ": " + std::to_string(enlarged) +
                                " points; it can have 500 million");
  const int common = std::gcd(axis->up, axis->down);
  axis->out = static_cast<int>((enlarged - axis->size) / axis->down) + 1;
  axis->phases = axis->up / common, axis->stride = axis->down / common;
  axis->taps = 1;
  for (int phase = 0; phase < axis->phases; ++phase) {
    const int last = floor_divide(phase * axis->down - axis->pad + axis->size - 1, axis->up);
    axis->taps = std::max(axis->taps, last - axis->first(phase) + 1);
  }
}

void plan_conv(const char* what, ConvGeometry* g) {
  g->rows_y = (g->y.out + g->y.phases - 1) / g->y.phases;
  g->rows_x = (g->x.out + g->x.phases - 1) / g->x.phases;
  g->padded_channels = (g->out_channels + kPackedChannels - 1) / kPackedChannels * kPackedChannels;
  const double limit = std::numeric_limits<int>::max() / 2;
  const double rows = static_cast<double>(g->batch) * g->rows_y * g->rows_x;
  const double depth = static_cast<double>(g->y.taps) * g->x.taps * g->in_channels;
  if (rows > limit || depth > limit)
    throw std::invalid_argument(std::string(what) +
                                ": more than a thousand million points or products; smaller batches"
                                " work");
  if (static_cast<double>(g->y.phases) * g->x.phases > kMostBlocks || g->out_channels / 128 >= kMostBlocks)
    throw std::invalid_argument(std::string(what) + ": up is " + std::to_string(g->x.phases) + " x " +
                                std::to_string(g->y.phases) + " and there are " + std::to_string(g->out_channels) +
                                " channels; a GPU takes 255 x 255 and 8 million");
  const auto divisor = [](int64_t by) { return Divisor(static_cast<uint32_t>(std::max<int64_t>(by, 1))); };
  g->by_row = divisor(g->rows_x), g->by_image = divisor(static_cast<int64_t>(g->rows_y) * g->rows_x);
  g->by_channels = divisor(g->in_channels), g->by_taps = divisor(g->x.taps);
}

}  // namespace cuda
}  // namespace dsb
