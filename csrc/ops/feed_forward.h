// Two convolutions with a kernel of one point: what follows an attention.
#pragma once

#include <vector>

#include "core/large_memory.h"
#include "core/threads.h"
#include "ops/panels.h"
#include "ops/tensor.h"

namespace dsb {

struct FeedForwardSpec {
  int64_t channels, hidden, out_channels;
  float slope = 0.2f, gain = 1.0f;
  bool bfloat16 =
      false;  // what is multiplied is rounded, less what the means of x's planes make of it; sums stay float32
};

// out = gain (w2 lrelu(w1 x + b1) + b2) + residual at every position.
class FeedForward {
 public:
  // w1 [hidden, channels], w2 [out channels, hidden]; biases may be null. Throws std::invalid_argument for a size
  // below 1.
  FeedForward(const FeedForwardSpec& spec, const float* w1, const float* b1, const float* w2, const float* b2);
  // x [N, channels, H, W]; residual [N, out channels, H, W] or null. out may be the residual, not x.
  void run(const float* x, const float* residual, const Shape4& shape, const Threads& threads, float* out) const;

 private:
  // A run of positions from x to `made` [panel][out channels][columns].
  void compute(const float* x, int64_t plane, int64_t width, float* made) const;
  void begin(const float* centres, float* starts) const;
  void compute_bf16(const float* x, const float* centres, const float* starts, int64_t plane, int64_t width,
                    float* made) const;

  FeedForwardSpec spec_;
  LargeVector first_, second_;  // [term][padded rows]
  PairVector first_pairs_, second_pairs_;
  std::vector<float> first_bias_, second_bias_;
};

}  // namespace dsb
