// Where the implicit matrix product of a convolution finds its operands: rows are output points, columns output
// channels, and the sum runs over taps and, within a tap, input channels.
//
// A convolution that enlarges its input (with zeros between the points, as StyleGAN2 does, or by repeating them, as the
// ECG network does) is done as `phases`: outputs that are a fixed number of points apart see the same few taps of the
// input itself. Along an axis, with zeros or repeats `up`, `down` and `pad` points before the enlarged input,
//   out[o] = sum over t < size of weight[t] * enlarged[o * down + t - pad],
// outputs o = phases * q + p, phases = up / gcd(up, down), read the input from q * stride + first(p) on, stride = down
// / gcd(up, down). One of the axis's `taps` stands for one weight (zeros) or for the sum of those that fall on the same
// point (repeats).
#pragma once

#include <cstdint>

#include "cuda/divisor.h"

namespace dsb {
namespace cuda {

DSB_HD int floor_divide(int number, int by) { return number / by - (number % by < 0 ? 1 : 0); }

struct ConvAxis {
  int in = 1, out = 1;                      // points
  int size = 1, up = 1, down = 1, pad = 0;  // of the enlarged input
  bool repeat = false;
  int phases = 1, stride = 1, taps = 1;

  // The input point of tap 0 for output 0 of a phase.
  DSB_HD int first(int phase) const {
    const int at = phase * down - pad;
    return repeat ? floor_divide(at, up) : -floor_divide(-at, up);
  }

  // The weights of a phase's tap: [*from, *to), empty where the tap has none.
  DSB_HD void weights_of(int phase, int tap, int* from, int* to) const {
    const int at = (first(phase) + tap) * up - phase * down + pad;
    *from = at < 0 ? 0 : at;
    *to = at + (repeat ? up : 1);
    if (*to > size) *to = size;
  }
};

// Distances between neighbours along each axis of a tensor of four dimensions, in elements.
struct Steps {
  int64_t n = 0, y = 0, x = 0, channel = 0;

  DSB_HD int64_t at(int64_t in, int64_t iy, int64_t ix, int64_t ic) const {
    return in * n + iy * y + ix * x + ic * channel;
  }
};

struct ConvPoint {
  int n, y, x;
};

// What the blocks of one phase have in common.
struct ConvPhase {
  int y, x, index;
  int first_y, first_x;
};

struct ConvGeometry {
  int batch = 0, in_channels = 0, out_channels = 0;
  int padded_channels = 0;  // of the packed weights: output channels, a multiple of kPackedChannels
  ConvAxis y, x;
  int rows_y = 0, rows_x = 0;  // points of a phase, the last ones beyond the output where phases don't divide it
  Divisor by_row, by_image, by_channels, by_taps;
  Steps in, out;

  DSB_HD int phases() const { return y.phases * x.phases; }
  DSB_HD int rows() const { return batch * rows_y * rows_x; }
  DSB_HD int depth() const { return y.taps * x.taps * in_channels; }

  DSB_HD ConvPhase phase(int index) const {
    const int phase_y = index / x.phases, phase_x = index % x.phases;
    return {phase_y, phase_x, index, y.first(phase_y), x.first(phase_x)};
  }

  // Row -> sample and point of a phase.
  DSB_HD ConvPoint point(int row) const {
    auto rest = static_cast<uint32_t>(row);
    const uint32_t n = by_image.take(rest), row_y = by_row.take(rest);
    return {static_cast<int>(n), static_cast<int>(row_y), static_cast<int>(rest)};
  }

  // The input point under the first tap; it may lie outside the input.
  DSB_HD ConvPoint origin(const ConvPoint& p, const ConvPhase& phase) const {
    return {p.n, p.y * y.stride + phase.first_y, p.x * x.stride + phase.first_x};
  }

  // Element k of the sum -> its input channel and offset in the input; false where the tap lies outside the input.
  DSB_HD bool source(const ConvPoint& origin, int k, int* channel, int64_t* offset) const {
    auto rest = static_cast<uint32_t>(k);
    uint32_t tap_x = by_channels.take(rest);
    *channel = static_cast<int>(rest);
    const uint32_t tap_y = by_taps.take(tap_x);
    const int at_y = origin.y + static_cast<int>(tap_y), at_x = origin.x + static_cast<int>(tap_x);
    *offset = in.at(origin.n, at_y, at_x, *channel);
    return at_y >= 0 && at_y < y.in && at_x >= 0 && at_x < x.in;
  }

  // The output point of a phase's point; false beyond the output.
  DSB_HD bool target(const ConvPoint& p, const ConvPhase& phase, ConvPoint* to) const {
    *to = {p.n, p.y * y.phases + phase.y, p.x * x.phases + phase.x};
    return to->y < y.out && to->x < x.out;
  }
};

constexpr int kPackedChannels = 8;

// Fills in what follows from in, size, up, down, pad and repeat; `pad_after` as pad, at the end. Throws
// std::invalid_argument, beginning with `what`, where nothing would come out.
void plan_axis(const char* what, int pad_after, ConvAxis* axis);

// Fills in what follows from the axes, channels and batch; the steps are the caller's. Throws std::invalid_argument
// where a number of points or of products does not fit.
void plan_conv(const char* what, ConvGeometry* geometry);

}  // namespace cuda
}  // namespace dsb
