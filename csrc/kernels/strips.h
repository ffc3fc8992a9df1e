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

// What is done to the sums of kWidth neighbouring channels, vectors of which are over the channels.
class Finish {
 public:
  // Of the epilogue's channels from `first` on, `channels` of which are there.
  Finish(const ConvEpilogue& e, int64_t first, int64_t channels) : noise_(e.noise), activation_(e.activation.kind) {
    const ActivationOptions& a = e.activation;
    in_lanes = a.kind == Activation::linear || a.kind == Activation::relu || a.kind == Activation::lrelu;
    const auto load = [&](const float* values, float otherwise) {
      if (!values) return set_f32(otherwise);
      return channels < kWidth ? load_first(values + first, channels) : load_f32(values + first);
    };
    factor_ = load(e.factor, 1.0f), noise_gain_ = load(e.noise_gain, 1.0f), bias_ = load(e.bias, 0.0f);
    slope_ = set_f32(a.alpha), gain_ = set_f32(a.gain), most_ = set_f32(a.clamp), least_ = set_f32(-a.clamp);
    steep_ = !(a.alpha > 0.0f && a.alpha <= 1.0f);
    gained_ = a.gain != 1.0f, clamped_ = a.clamp >= 0.0f;
  }

  bool in_lanes;  // the activation is one that is taken here, not by bias_act

  // noise: of these positions; not read where the epilogue has none.
  template <int P>
  void operator()(F32 (&y)[P], const float* noise) const {
    if (noise_) {
#pragma GCC unroll 16
      for (int k = 0; k < P; ++k) y[k] = madd(y[k], factor_, mul(set_f32(noise[k]), noise_gain_));
    } else {
#pragma GCC unroll 16
      for (int k = 0; k < P; ++k) y[k] = mul(y[k], factor_);
    }
    if (!in_lanes) return;
#pragma GCC unroll 16
    for (int k = 0; k < P; ++k) y[k] = add(y[k], bias_);
    if (activation_ == Activation::lrelu && !steep_) {  // the larger one is the one that is wanted
#pragma GCC unroll 16
      for (int k = 0; k < P; ++k) y[k] = larger(y[k], mul(y[k], slope_));
    } else if (activation_ != Activation::linear) {
#pragma GCC unroll 16
      for (int k = 0; k < P; ++k) y[k] = activation_ == Activation::relu ? relu(y[k]) : lrelu(y[k], slope_);
    }
    if (gained_) {
#pragma GCC unroll 16
      for (int k = 0; k < P; ++k) y[k] = mul(y[k], gain_);
    }
    if (!clamped_) return;
#pragma GCC unroll 16
    for (int k = 0; k < P; ++k) {
      y[k] = choose_by_sign(sub(y[k], least_), y[k], least_);
      y[k] = choose_by_sign(sub(most_, y[k]), y[k], most_);
    }
  }

 private:
  const float* noise_;
  Activation activation_;
  bool steep_, gained_, clamped_;
  F32 factor_, noise_gain_, bias_, slope_, gain_, least_, most_;
};

inline F32 load_some(const float* p, int64_t count) { return count < kWidth ? load_first(p, count) : load_f32(p); }
inline void store_some(F32 v, int64_t count, float* p) {
  if (count < kWidth)
    store_first(v, count, p);
  else
    store_f32(v, p);
}

// kWidth neighbouring positions of a strip after all that is done to their sums, of which `left` are there; noise: of
// the first one, or null.
inline void finished(const Finish& finish, const float* strip, const float* noise, int64_t left,
                     F32 (&square)[kFloatLanes]) {
#pragma GCC unroll 16
  for (int64_t k = 0; k < kWidth; ++k) square[k] = load_f32(strip + k * kWidth);
  float some[kFloatLanes];
  if (noise && left < kWidth) {
    store_f32(load_first(noise, left), some);
    noise = some;
  }
  finish(square, noise);
}

// `count` neighbouring positions of a strip, `at` being the first one's place in every plane of the result.
inline void scatter(int64_t plane, const ConvEpilogue& e, const Finish& finish, const float* strip,
                    int64_t first_channel, int64_t channels, int64_t count, int64_t at, float* out) {
  out += first_channel * plane + at;
  const float* residual = e.residual ? e.residual + first_channel * plane + at : nullptr;
  const bool early = residual && finish.in_lanes;
  for (int64_t done = 0; done < count; done += kWidth) {
    F32 square[kFloatLanes];
    const int64_t left = count - done;
    finished(finish, strip + done * kWidth, e.noise ? e.noise + at + done : nullptr, left, square);
    transpose_f32(square);
    if (channels >= kWidth && left >= kWidth && !residual) {
#pragma GCC unroll 16
      for (int64_t k = 0; k < kWidth; ++k) store_f32(square[k], out + k * plane + done);
      continue;
    }
#pragma GCC unroll 16
    for (int64_t k = 0; k < kWidth; ++k) {
      if (k >= channels) break;
      if (early) square[k] = add(square[k], load_some(residual + k * plane + done, left));
      store_some(square[k], left, out + k * plane + done);
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
