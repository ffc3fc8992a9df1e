// Weights of the Toom-Cook layers at their evaluation points.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "ops/conv1d.h"

namespace dsb {
namespace {

constexpr int kPoints = 8;
constexpr double kPoint[kPoints - 1] = {0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5};  // and infinity

// Up to five taps at the eight points, each divided by the product of its point's distances from the others.
void at_points(const double* taps, double* out) {
  for (int p = 0; p < kPoints - 1; ++p) {
    double value = 0.0, distances = 1.0;
    for (int j = 4; j >= 0; --j) value = value * kPoint[p] + taps[j];
    for (int other = 0; other < kPoints - 1; ++other)
      if (other != p) distances *= kPoint[p] - kPoint[other];
    out[p] = value / distances;
  }
  out[kPoints - 1] = taps[4];
}

// Up to 13 taps at the 32 points: groups of 4, 4 and 5, and those at 0, 1, -1 and infinity.
void at_nested_points(const double* taps, double* out) {
  double group[3][kPoints];
  for (int g = 0; g < 3; ++g) {
    double five[5] = {};
    std::copy(taps + 4 * g, taps + 4 * g + (g == 2 ? 5 : 4), five);
    at_points(five, group[g]);
  }
  for (int p = 0; p < kPoints; ++p) {
    const double a = group[0][p], b = group[1][p], c = group[2][p];
    out[p] = a;
    out[kPoints + p] = (a + b + c) / 2.0;
    out[2 * kPoints + p] = (a - b + c) / 2.0;
    out[3 * kPoints + p] = c;
  }
}

}  // namespace

void Conv1dLayer::pack_toom(const float* weight) {
  const bool nested = spec_.algorithm == Algorithm::toom8x13;
  const int64_t factor = std::max(spec_.stride, spec_.repetition), most = nested ? 13 : 5;
  if ((spec_.taps + factor - 1) / factor > most)
    throw std::invalid_argument("conv1d: " + std::to_string(spec_.taps) + " taps are too many for this algorithm");
  if (spec_.repetition != 1 && spec_.repetition != 2 && spec_.repetition != 5)
    throw std::invalid_argument("conv1d: Toom-Cook layers repeat 1, 2 or 5 times");
  const int64_t points = nested ? 4 * kPoints : kPoints, channels = spec_.in_channels;
  const int64_t sum_length = spec_.stride * channels, slab = sum_length * kChannelBlock;
  const int64_t block = spec_.repetition * points * slab;
  at_points_.assign(static_cast<size_t>((spec_.out_channels + kChannelBlock - 1) / kChannelBlock * block), 0.0f);
  for (int64_t o = 0; o < spec_.out_channels; ++o)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t part = 0; part < factor; ++part) {  // a signal of a stride, a filter of a repetition
        double taps[13] = {}, values[4 * kPoints];
        const float* from = weight + (o * channels + c) * spec_.taps;
        for (int64_t tap = part, j = 0; tap < spec_.taps; tap += factor, ++j) taps[j] = from[tap];
        nested ? at_nested_points(taps, values) : at_points(taps, values);
        const int64_t filter = spec_.repetition > 1 ? part : 0, signal = spec_.repetition > 1 ? 0 : part;
        float* to = at_points_.data() + o / kChannelBlock * block + filter * points * slab +
                    (signal * channels + c) * kChannelBlock + o % kChannelBlock;
        for (int64_t p = 0; p < points; ++p) to[p * slab] = static_cast<float>(values[p]);
      }
}

}  // namespace dsb
