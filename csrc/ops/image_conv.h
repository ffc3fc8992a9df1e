// Convolutions of images, stride 1: what modulated_conv2d is made of. The algorithm is a function of the kernel's and
// the result's height and width, and part of the arithmetic: Winograd F(4x4,3x3) for 3 x 3 taps and at least 64 outputs
// a plane, F(2x2,3x3) for fewer, direct for any other kernel; with bfloat16 products F(4x4,3x3) from 256 outputs on.
// docs/image-kernels.md has the reasons.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/large_memory.h"
#include "core/threads.h"
#include "kernels/kernels.h"
#include "ops/tensor.h"

namespace dsb {

struct ImageConv {
  int64_t samples, channels, height, width;
  const float* x;
  int64_t x_step;                 // from sample to sample; 0: one image for all
  const float* styles = nullptr;  // [samples, channels], multiplied into x; null: 1
  int64_t style_step = 0;
  int64_t top = 0, left = 0;  // rows and columns of zeros before the image; negative: of the image that are left out
  Shape4 weight;
  bool flip = false;      // a true convolution
  bool enlarged = false;  // 3 x 3 taps: of upsample_bilinear2d of the image, around which the zeros are
  bool bfloat16 = false;  // 3 x 3 taps: values and weights at the points are rounded, products summed in float32
  bool blocked = false;   // 3 x 3 taps, top and left 1: x is a blocked image (kernels.h)
  int64_t out_height, out_width;
  bool blocked_out = false;  // 3 x 3 taps, sizes multiples of kBlockedSide, no residual: out is a blocked image
  float* out;
  Colours colours =
      {};  // where count is not 0, of 3 x 3 taps: out is their image, styles and residual the first sample's
  const float* factors = nullptr;  // [samples, padded out channels], after the sums
  int64_t factor_step = 0;
  int64_t noise_step = 0;
  ConvEpilogue epilogue = {nullptr, nullptr, nullptr, nullptr, nullptr, {Activation::linear, 0.0f, 1.0f, -1.0f}};
};

// What height and width of a blocked image are multiples of, so that tiles of all sizes fit it.
constexpr int64_t kBlockedSide = 4;
// Floats of a blocked image's block of channels.
inline int64_t blocked_plane(int64_t height, int64_t width) { return (height + 2) * (width + 2) * kChannelBlock; }

// Side of a tile of outputs, 2 or 4; 0: direct.
int64_t winograd_outputs(const Shape4& weight, int64_t out_height, int64_t out_width, bool bfloat16);

// Weights of 3 x 3 taps at the (outputs + 2)^2 points, made in float64 in a fixed order and rounded once; 3 outputs are
// those of an up-sampling layer, kPhaseWeights (docs/image-kernels.md). In blocks of
// kBlock output channels, the last one padded to a multiple of kChannelBlock: [block][point][in channel][out channel].
// For bfloat16 they are then rounded to it, [block][point][pair of in channels][out channel].
class WinogradWeights {
 public:
  static constexpr int64_t kBlock = 32;

  WinogradWeights(const float* weight, const Shape4& shape, bool flip, int64_t outputs, bool bfloat16,
                  const Threads& threads);
  int64_t outputs() const { return outputs_; }
  int64_t rows(int64_t block) const;
  const float* at(int64_t block, int64_t point) const;
  const bfloat16_pair* pairs_at(int64_t block, int64_t point) const;
  int64_t bytes() const { return static_cast<int64_t>((packed_.size() + pairs_.size()) * sizeof(float)); }

 private:
  void round(const Threads& threads);

  int64_t outputs_, channels_, padded_;
  LargeVector packed_;  // one of the two
  std::vector<bfloat16_pair, LargeMemory<bfloat16_pair>> pairs_;
};

// What follows from a weight alone, each made when it is first asked for; from any number of threads. All calls must
// give the same weight.
class ConvWeights {
 public:
  ConvWeights(const Shape4& shape, bool flip) : shape_(shape), flip_(flip) {}
  // Sums of squares of every filter, per input channel, in float64 and in the order of the weights: what demodulation
  // needs. [block of kChannelBlock output channels][in channel][output channel], padded with zeros.
  const std::vector<double>& energies(const float* weight) const;
  const WinogradWeights& at_points(const float* weight, int64_t outputs, bool bfloat16, const Threads& threads) const;

 private:
  Shape4 shape_;
  bool flip_;
  mutable std::mutex mutex_;
  mutable std::vector<double> energies_;
  mutable std::unique_ptr<WinogradWeights> at_points_[3][2];  // [outputs - 2][bfloat16]
};

// 1 / sqrt of the energy of every modulated filter, [samples, padded out channels].
std::vector<float> demodulation_factors(const std::vector<double>& energies, const Shape4& weight, const float* styles,
                                        int64_t style_step, int64_t samples, const Threads& threads);
inline int64_t padded_channels(int64_t channels) {
  return (channels + kChannelBlock - 1) / kChannelBlock * kChannelBlock;
}

// `prepared` belongs to this weight.
void image_conv(const ImageConv& conv, const float* weight, const ConvWeights& prepared, const Threads& threads);
// Whether the weights at the points are so many that a thread reads them once for all samples.
bool winograd_shares_weights(const Shape4& weight, int64_t outputs, bool bfloat16);
void winograd_conv(const ImageConv& conv, const WinogradWeights& weights, const Threads& threads);
// 3 x 3 taps on an image of twice the size, with zeros between the samples and two around them, then the filters, four
// taps each as a correlation that make up for the zeros: out_height and out_width are twice height and width, top and
// left of no meaning. Memory does not grow with the image beyond rows of three tiles. weights: of 3 outputs.
void phase_conv(const ImageConv& conv, const WinogradWeights& weights, const float* taps_x, const float* taps_y,
                const Threads& threads);
void direct_conv(const ImageConv& conv, const float* weight, const Threads& threads);

}  // namespace dsb
