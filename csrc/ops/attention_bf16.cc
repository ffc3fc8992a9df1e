// Attention with bfloat16 products: what attention.cc does, on pairs of rounded numbers.
#include <algorithm>
#include <limits>

#include "ops/attention.h"
#include "ops/dispatch.h"
#include "ops/thread_memory.h"

namespace dsb {
namespace {

void gelu(const Kernels& k, float* x, int64_t count) {
  const float none = 0.0f;
  k.bias_act(x, static_cast<size_t>(count), &none, 0, {Activation::gelu, 0.0f, 1.0f, -1.0f}, x);
}

}  // namespace

// k of a centred source differs by a number a feature, which a softmax over the positions does not see.
void Attention::sum_segment_bf16(const float* source, const float* centres, int64_t positions, int64_t first,
                                 int64_t last, int64_t head, int64_t heads, float* sums, float* largest,
                                 float* weighted) const {
  const Kernels& k = kernels();
  const int64_t channels = spec_.channels, features = padded_features_, size = channels * features;
  const int64_t pairs = divide_up(channels, 2);
  float* values = thread_memory(ThreadMemory::values, kRun * (pairs * kPanel + channels * kPanel / 2));
  bfloat16_pair* run = reinterpret_cast<bfloat16_pair*>(values);
  bfloat16_pair* neighbours = run + kRun * pairs * kPanel;
  float* key = thread_memory(ThreadMemory::sums, (kPanel + kPanel / 2 + 1) * features);
  bfloat16_pair* weights = reinterpret_cast<bfloat16_pair*>(key + kPanel * features);
  float* scale = key + (kPanel + kPanel / 2) * features;
  std::fill_n(sums, heads * features, 0.0f);
  std::fill_n(largest, heads * features, -std::numeric_limits<float>::infinity());
  for (int64_t at = first; at < last; at += kPanel) {
    const int64_t width = std::min(kPanel, last - at), index = (at - first) / kPanel % kRun;
    if (index == 0) {
      const int64_t together = std::min(kRun * kPanel, last - at);
      gather_pairs(k, source + at, centres, channels, positions, together, run);
      gather_neighbours(k, source + at, centres, channels, positions, together, neighbours);
    }
    const bfloat16_pair* panel = run + index * pairs * kPanel;
    const bfloat16_pair* turned = neighbours + index * channels * kPanel / 2;
    for (int64_t h = 0; h < heads; ++h) {
      const PanelProduct keys = {width, features, pairs, 1, kPanel, features, features};
      k.panel_product_bf16(keys, panel, key_pairs_.data() + (head + h) * pairs * features, nullptr, nullptr, key);
      k.exp2_columns_bf16(width, features, key, largest + h * features, sums + h * features, scale, weights);
      const PanelProduct add = {channels,
                                features,
                                divide_up(width, 2),
                                kPanel / 2,
                                1,
                                features,
                                features,
                                at == first ? Join::replace : Join::rescale};
      k.panel_product_bf16(add, turned, weights, nullptr, scale, weighted + h * size);
    }
  }
}

// Of a head and sample whose context `made` is, the context to be multiplied and what its products begin with: q's bias
// and product with the centres; the context's mean over the features, since q's weights sum to 1, with its bias,
// through the activation if there is one; and to_out's product with that.
void Attention::begin(const float* centres, int64_t head, float* made, float* context, float* start) const {
  const Kernels& k = kernels();
  const int64_t features = spec_.features, row = padded_made_;
  vector_product(k, centres, queries_.data() + head * spec_.channels * padded_features_, spec_.channels,
                 padded_features_, start);
  for (int64_t f = 0; f < padded_features_; ++f)
    start[f] += query_bias_[static_cast<size_t>(head * padded_features_ + f)];
  float* means = start + padded_features_;
  std::fill_n(means, row, 0.0f);
  for (int64_t f = 0; f < features; ++f)
    for (int64_t o = 0; o < row; ++o) means[o] += made[f * row + o];
  for (int64_t o = 0; o < row; ++o) means[o] /= static_cast<float>(features);
  for (int64_t f = 0; f < features; ++f)
    for (int64_t o = 0; o < row; ++o) made[f * row + o] -= means[o];
  pair_rows(k, made, nullptr, features, row, reinterpret_cast<bfloat16_pair*>(context));
  if (!spec_.gelu) return;
  for (int64_t e = 0; e < spec_.values; ++e) means[e] += made_bias_[static_cast<size_t>(head * spec_.values + e)];
  float* activated = means + row;
  std::copy_n(means, row, activated);
  gelu(k, activated, row);
  vector_product(k, activated, last_.data() + head * spec_.values * padded_out_, spec_.values, padded_out_,
                 activated + row);
}

// `width` positions of a panel, of all heads.
void Attention::attend_bf16(const bfloat16_pair* panel, const float* starts, const bfloat16_pair* contexts,
                            int64_t width, float* made) const {
  const Kernels& k = kernels();
  const int64_t features = spec_.features, values = spec_.values, out_channels = spec_.out_channels;
  const int64_t columns = padded_to_block(width), pairs = divide_up(spec_.channels, 2);
  const int64_t start = start_size(), behind = padded_features_ + (spec_.gelu ? 2 * padded_made_ : 0);
  const int64_t feature_pairs = divide_up(features, 2), value_pairs = divide_up(values, 2);
  float* queries = thread_memory(ThreadMemory::sums, (features + feature_pairs + values + value_pairs + 4) * kPanel);
  bfloat16_pair* weights = reinterpret_cast<bfloat16_pair*>(queries + features * kPanel);
  float* attended = queries + (features + feature_pairs) * kPanel;
  bfloat16_pair* rounded = reinterpret_cast<bfloat16_pair*>(attended + values * kPanel);
  float* sums = attended + (values + value_pairs) * kPanel;
  float *largest = sums + kPanel, *scale = largest + kPanel, *ones = scale + kPanel;
  for (int64_t o = 0; o < out_channels; ++o) {
    float first = out_bias_[static_cast<size_t>(o)];
    for (int64_t h = 0; h < spec_.heads; ++h) first += starts[h * start + behind + o];
    std::fill_n(made + o * columns, columns, first);
  }
  std::fill_n(ones, kPanel, 1.0f);
  for (int64_t h = 0; h < spec_.heads; ++h) {
    const PanelProduct query = {features, columns, pairs, 1, padded_features_, kPanel, columns};
    k.panel_product_bf16(query, query_pairs_.data() + h * pairs * padded_features_, panel, starts + h * start, nullptr,
                         queries);
    std::fill_n(sums, columns, 0.0f);
    std::fill_n(largest, columns, -std::numeric_limits<float>::infinity());
    k.exp2_columns_bf16(features, columns, queries, largest, sums, scale, weights);
    for (int64_t e = 0; e < columns; ++e) sums[e] = 1.0f / sums[e];
    const bfloat16_pair* context = contexts + h * features * padded_made_;
    PanelProduct p = {out_channels, columns, feature_pairs, 1, padded_made_, columns, columns, Join::add_scaled};
    if (!spec_.gelu) {
      k.panel_product_bf16(p, context, weights, nullptr, sums, made);
      continue;
    }
    const float* means = starts + h * start + padded_features_;
    for (int64_t e = 0; e < values; ++e) std::fill_n(attended + e * columns, columns, means[e]);
    p.rows = values;
    k.panel_product_bf16(p, context, weights, nullptr, sums, attended);
    gelu(k, attended, values * columns);
    pair_rows(k, attended, means + padded_made_, values, columns, rounded);
    p.rows = out_channels, p.terms = value_pairs, p.a_term = padded_out_;
    k.panel_product_bf16(p, last_pairs_.data() + h * value_pairs * padded_out_, rounded, nullptr, ones, made);
  }
}

void Attention::compute_bf16(const float* x, const float* centres, const float* starts, const float* contexts,
                             int64_t positions, int64_t width, float* made) const {
  const int64_t pairs = divide_up(spec_.channels, 2);
  bfloat16_pair* run = reinterpret_cast<bfloat16_pair*>(thread_memory(ThreadMemory::values, kRun * kPanel * pairs));
  gather_pairs(kernels(), x, centres, spec_.channels, positions, width, run);
  for (int64_t e = 0; e < width; e += kPanel)
    attend_bf16(run + e * pairs, starts, reinterpret_cast<const bfloat16_pair*>(contexts), std::min(kPanel, width - e),
                made + e * spec_.out_channels);
}

}  // namespace dsb
