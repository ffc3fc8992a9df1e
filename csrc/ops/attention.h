// Attention of linear cost with the convolutions of one point before and behind it (Shen et al., "Efficient attention",
// WACV 2021, section 3.2), as stylegan2-pytorch uses it.
#pragma once

#include <vector>

#include "core/large_memory.h"
#include "core/threads.h"
#include "ops/panels.h"
#include "ops/tensor.h"

namespace dsb {

struct AttentionSpec {
  int64_t channels, heads, features, values, out_channels;  // features and values: of a head
  float q_scale = 1.0f, k_scale = 1.0f, out_scale = 1.0f, gain = 1.0f;
  bool gelu = false;      // between attention and its last convolution
  bool bfloat16 = false;  // what is multiplied at every position is rounded, x and source less the means of their
                          // planes; sums, exponentials and the context stay float32
};

// [heads * features or values, channels] each, to_out [out channels, heads * values]. Biases may be null; k's does
// nothing, since a softmax over the positions does not see it.
struct AttentionWeights {
  const float *to_q, *q_bias, *to_k, *to_v, *v_bias, *to_out, *out_bias;
};

// With q, k, v the products of to_q with x and of to_k and to_v with `source`, for each head
//   context = softmax over positions(k_scale k) v^T,  attended = out_scale context^T softmax over features(q_scale q),
//   out = gain (to_out act(attended) + out_bias) + residual.
// v is never made: k's weights sum to 1, so context is (sum of weights times source) to_v^T + v_bias. Without
// activation to_out joins that small matrix too.
class Attention {
 public:
  // Throws std::invalid_argument for a size below 1.
  Attention(const AttentionSpec& spec, const AttentionWeights& weights);
  // x, source and residual are [N, channels or out channels, H, W]; residual may be null, source x. out may be none of
  // them.
  void run(const float* x, const float* source, const float* residual, const Shape4& shape, const Threads& threads,
           float* out) const;
  // Numbers in the largest matrix that weights of this size are made to, saturated.
  static int64_t packed_size(const AttentionSpec& spec);

 private:
  struct Sums;
  void sum_segment(const float* source, int64_t positions, int64_t first, int64_t last, int64_t head, int64_t heads,
                   float* sums, float* largest, float* weighted) const;
  void make_context(const Sums& sums, const float* centres, int64_t sample, int64_t head, float* context) const;
  void attend(const float* panel, const float* contexts, int64_t width, float* made) const;
  void compute(const float* x, const float* contexts, int64_t positions, int64_t width, float* made) const;
  // In bfloat16. contexts then hold pairs of features, less their mean over the features; starts what the products of
  // a head begin with: start_size() numbers.
  void sum_segment_bf16(const float* source, const float* centres, int64_t positions, int64_t first, int64_t last,
                        int64_t head, int64_t heads, float* sums, float* largest, float* weighted) const;
  int64_t start_size() const { return padded_features_ + padded_made_ + (spec_.gelu ? padded_made_ + padded_out_ : 0); }
  void begin(const float* centres, int64_t head, float* made, float* context, float* start) const;
  void attend_bf16(const bfloat16_pair* panel, const float* starts, const bfloat16_pair* contexts, int64_t width,
                   float* made) const;
  void compute_bf16(const float* x, const float* centres, const float* starts, const float* contexts, int64_t positions,
                    int64_t width, float* made) const;

  AttentionSpec spec_;
  int64_t padded_features_, padded_made_, padded_out_;  // made: rows of what context is made to, values or out channels
  LargeVector queries_, keys_, made_, last_;            // [head][term][padded rows]; last_ is empty without activation
  PairVector query_pairs_, key_pairs_, last_pairs_;     // in bfloat16 instead of keys_ and last_
  std::vector<float> query_bias_, made_bias_, out_bias_;
};

}  // namespace dsb
