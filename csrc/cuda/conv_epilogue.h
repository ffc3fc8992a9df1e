// What is done to a convolution's sum before it is stored.
#pragma once

#include "cuda/activation.h"
#include "cuda/conv_geometry.h"
#include "cuda/storage.h"

namespace dsb {
namespace cuda {

// y = act(sum * demodulation + plane * plane_weight + bias) * gain, clamped, + residual; scaled = y * scale, the next
// layer's style. Null pointers stand for factors of 1 and terms of 0; y or scaled may be null.
template <typename T>
struct ConvEpilogue {
  const float* demodulation = nullptr;  // [N, out]
  const float* plane = nullptr;         // [H, W] a sample, plane_step apart; 0 for one that all share
  int64_t plane_step = 0;
  const float* plane_weight = nullptr;  // [out]
  const float* bias = nullptr;          // [out]
  ActivationOptions activation = {Activation::linear, 0.0f, 1.0f, -1.0f};
  const T* residual = nullptr;
  Steps residual_steps;
  const float* scale = nullptr;  // [N, out]
  T* y = nullptr;
  T* scaled = nullptr;  // steps as y

  DSB_HD float value(const ConvGeometry& g, const ConvPoint& at, int out, float sum) const {
    const int64_t factor = static_cast<int64_t>(at.n) * g.out_channels + out;
    if (demodulation) sum *= demodulation[factor];
    if (plane) {
      const float noise = plane[at.n * plane_step + static_cast<int64_t>(at.y) * g.x.out + at.x];
      sum += plane_weight ? noise * plane_weight[out] : noise;
    }
    if (bias) sum += bias[out];
    sum = finished(sum, activation);
    return residual ? sum + to_float(residual[residual_steps.at(at.n, at.y, at.x, out)]) : sum;
  }

  DSB_HD void store(const ConvGeometry& g, const ConvPoint& at, int out, float sum) const {
    const float result = value(g, at, out, sum);
    const int64_t to = g.out.at(at.n, at.y, at.x, out);
    if (y) y[to] = from_float<T>(result);
    if (scaled)
      scaled[to] = from_float<T>(scale ? result * scale[static_cast<int64_t>(at.n) * g.out_channels + out] : result);
  }
};

}  // namespace cuda
}  // namespace dsb
