// Images come and go with their channels apart: a strip of some rows has them side by side, vectors over kWidth of
// them.
#pragma once

#include "kernels/kernels.h"
#include "kernels/lane_activation.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kWidth = static_cast<int64_t>(kFloatLanes);

// One row of the image, columns [first, first + columns), as vectors over kWidth channels of which `channels` are
// there; what lies outside the image is 0. Image has height, width and channel, the distance of planes; what lies
// `ahead` is asked for, since that are too many planes for the processor to follow.
template <class Image>
inline void gather_row(const Image& f, const float* x, int64_t channels, int64_t row, int64_t first, int64_t columns,
                       const float* factors, int64_t ahead, float* to) {
  const F32 zero = set_f32(0.0f);
  if (row < 0 || row >= f.height) {
    for (int64_t c = 0; c < columns; ++c) store_f32(zero, to + c * kWidth);
    return;
  }
  x += row * f.width;
  const int64_t begin = first < 0 ? -first : 0, end = f.width - first < columns ? f.width - first : columns;
  for (int64_t c = 0; c < begin && c < columns; ++c) store_f32(zero, to + c * kWidth);
  for (int64_t c = end > begin ? end : begin; c < columns; ++c) store_f32(zero, to + c * kWidth);
  F32 factor = zero;
  if (factors) factor = channels < kWidth ? load_first(factors, channels) : load_f32(factors);
  for (int64_t c = begin; c < end; c += kWidth) {
    const float* from = x + first + c;
    const int64_t count = end - c;
    F32 square[kFloatLanes];
    if (channels >= kWidth && count >= kWidth) {
#pragma GCC unroll 16
      for (int64_t k = 0; k < kWidth; ++k) __builtin_prefetch(from + k * f.channel + ahead);
#pragma GCC unroll 16
      for (int64_t k = 0; k < kWidth; ++k) square[k] = load_f32(from + k * f.channel);
    } else {
      for (int64_t k = 0; k < kWidth; ++k) {
        if (k >= channels)
          square[k] = zero;
        else
          square[k] = count >= kWidth ? load_f32(from + k * f.channel) : load_first(from + k * f.channel, count);
      }
    }
    transpose_f32(square);
    if (factors) {
#pragma GCC unroll 16
      for (int64_t k = 0; k < kWidth; ++k) square[k] = mul(square[k], factor);
    }
    float* vectors = to + c * kWidth;
    if (count >= kWidth) {
#pragma GCC unroll 16
      for (int64_t k = 0; k < kWidth; ++k) store_f32(square[k], vectors + k * kWidth);
    } else {
      for (int64_t k = 0; k < count; ++k) store_f32(square[k], vectors + k * kWidth);
    }
  }
}

// What is done to a channel's sums at `count` neighbouring positions, at most a vector of them.
struct Finish {
  const ConvEpilogue& e;
  bool in_lanes;  // the activation is one that is taken here, not by bias_act
  F32 slope, gain, least, most;

  explicit Finish(const ConvEpilogue& given) : e(given) {
    const ActivationOptions& a = e.activation;
    in_lanes = a.kind == Activation::linear || a.kind == Activation::relu || a.kind == Activation::lrelu;
    slope = set_f32(a.kind == Activation::lrelu ? a.alpha : 0.0f), gain = set_f32(a.gain);
    most = set_f32(a.clamp), least = set_f32(-a.clamp);
  }

  F32 operator()(F32 y, int64_t channel, const F32* noise) const {
    const F32 factor = set_f32(e.factor ? e.factor[channel] : 1.0f);
    if (noise)
      y = madd(y, factor, e.noise_gain ? mul(*noise, set_f32(e.noise_gain[channel])) : *noise);
    else
      y = mul(y, factor);
    if (!in_lanes) return y;
    y = add(y, set_f32(e.bias ? e.bias[channel] : 0.0f));
    if (e.activation.kind == Activation::relu) y = relu(y);
    if (e.activation.kind == Activation::lrelu) y = lrelu(y, slope);
    y = mul(y, gain);
    if (e.activation.clamp >= 0.0f) {
      y = choose_by_sign(sub(y, least), y, least);
      y = choose_by_sign(sub(most, y), y, most);
    }
    return y;
  }
};

inline F32 load_some(const float* p, int64_t count) { return count < kWidth ? load_first(p, count) : load_f32(p); }
inline void store_some(F32 v, int64_t count, float* p) {
  if (count < kWidth)
    store_first(v, count, p);
  else
    store_f32(v, p);
}

// `count` neighbouring positions of a strip, `at` being the first one's place in every plane of the result.
inline void scatter(int64_t plane, const Finish& finish, const float* strip, int64_t first_channel, int64_t channels,
                    int64_t count, int64_t at, float* out) {
  const ConvEpilogue& e = finish.e;
  out += first_channel * plane + at;
  const float* residual = e.residual ? e.residual + first_channel * plane + at : nullptr;
  const bool early = residual && finish.in_lanes;
  for (int64_t done = 0; done < count; done += kWidth) {
    F32 square[kFloatLanes], noise = set_f32(0.0f);
#pragma GCC unroll 16
    for (int64_t k = 0; k < kWidth; ++k) square[k] = load_f32(strip + (done + k) * kWidth);
    transpose_f32(square);
    const int64_t left = count - done;
    if (e.noise) noise = load_some(e.noise + at + done, left);
#pragma GCC unroll 16
    for (int64_t k = 0; k < kWidth; ++k) {
      if (k >= channels) break;
      F32 y = finish(square[k], first_channel + k, e.noise ? &noise : nullptr);
      if (early) y = add(y, load_some(residual + k * plane + done, left));
      store_some(y, left, out + k * plane + done);
    }
  }
  if (finish.in_lanes) return;
  const float none = 0.0f;
  for (int64_t k = 0; k < channels && k < kWidth; ++k) {
    float* y = out + k * plane;
    bias_act(y, static_cast<size_t>(count), e.bias ? e.bias + first_channel + k : &none, 0, e.activation, y);
    if (residual) scale_add(y, static_cast<size_t>(count), 1.0f, residual + k * plane, y);
  }
}

}  // namespace
}  // namespace DSB_VARIANT
}  // namespace dsb
