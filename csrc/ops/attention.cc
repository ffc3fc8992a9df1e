#include "ops/attention.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "core/float_environment.h"
#include "ops/dispatch.h"
#include "ops/thread_memory.h"
#include "ops/work.h"

namespace dsb {
namespace {

constexpr double kLog2E = 1.4426950408889634074;         // exponentials are to base 2
constexpr int64_t kMinSegment = 512, kMaxSegments = 16;  // of positions whose sums are made apart; the arithmetic's
constexpr int64_t kFewTasks = 16;                        // fewer segments are shared out by smaller groups of heads
constexpr int64_t kSumFloats = 1 << 20;                  // of sums in memory at once, if samples are no larger

int64_t segment_of(int64_t positions) {
  return std::max(kMinSegment, divide_up(divide_up(positions, kMaxSegments), kPanel) * kPanel);
}

}  // namespace

// What segments of some samples have summed: [sample][segment][head] of each.
struct Attention::Sums {
  int64_t segments, heads, features, size;  // features: padded; size: of a head's weighted sums
  float *weighted, *sums, *largest;         // [channels][features], [features], [features]
  int64_t at(int64_t sample, int64_t segment, int64_t head) const {
    return (sample * segments + segment) * heads + head;
  }
};

int64_t Attention::packed_size(const AttentionSpec& s) {
  const int64_t wide = padded_to_block(s.features), out = padded_to_block(s.out_channels);
  const int64_t parts[] = {saturated_size({2, s.heads, wide, s.channels}),
                           saturated_size({1, s.heads, s.channels, s.gelu ? padded_to_block(s.values) : out}),
                           s.gelu ? saturated_size({1, s.heads, s.values, out}) : 0};
  const int64_t context = saturated_size({1, s.heads, s.features, s.gelu ? padded_to_block(s.values) : out});
  return std::max({parts[0], parts[1], parts[2], context});
}

Attention::Attention(const AttentionSpec& spec, const AttentionWeights& w) : spec_(spec) {
  for (const int64_t size : {spec.channels, spec.heads, spec.features, spec.values, spec.out_channels})
    if (size < 1) throw std::invalid_argument("attention: every size must be at least 1");
  const FloatEnvironment environment;
  const int64_t channels = spec.channels, features = spec.features, values = spec.values, out = spec.out_channels;
  const int64_t width = spec.heads * values;
  padded_features_ = padded_to_block(features), padded_out_ = padded_to_block(out);
  padded_made_ = spec.gelu ? padded_to_block(values) : padded_out_;
  const auto count = [&](int64_t terms, int64_t rows) { return static_cast<size_t>(spec.heads * terms * rows); };
  queries_.resize(count(channels, padded_features_));
  keys_.resize(queries_.size());
  made_.resize(count(channels, padded_made_));
  query_bias_.assign(count(1, padded_features_), 0.0f);
  out_bias_.assign(static_cast<size_t>(out), 0.0f);
  if (spec.gelu) {
    made_bias_.assign(count(1, values), 0.0f);
    last_.resize(count(values, padded_out_));
  }
  const double q_factor = kLog2E * spec.q_scale, k_factor = kLog2E * spec.k_scale;
  std::vector<double> bias(static_cast<size_t>(out), 0.0), row(static_cast<size_t>(channels));
  for (int64_t o = 0; o < out && w.out_bias; ++o) bias[static_cast<size_t>(o)] = w.out_bias[o];
  for (int64_t h = 0; h < spec.heads; ++h) {
    const int64_t first = h * features * channels, packed = h * channels * padded_features_;
    pack_rows(w.to_q + first, features, channels, channels, q_factor, queries_.data() + packed);
    pack_rows(w.to_k + first, features, channels, channels, k_factor, keys_.data() + packed);
    for (int64_t f = 0; f < features && w.q_bias; ++f)
      query_bias_[static_cast<size_t>(h * padded_features_ + f)] =
          static_cast<float>(q_factor * w.q_bias[h * features + f]);
    const float* to_v = w.to_v + h * values * channels;
    const float* v_bias = w.v_bias ? w.v_bias + h * values : nullptr;
    const float* to_out = w.to_out + h * values;
    float* made = made_.data() + h * channels * padded_made_;
    if (spec.gelu) {
      pack_rows(to_v, values, channels, channels, spec.out_scale, made);
      pack_rows(to_out, out, values, width, spec.gain, last_.data() + h * values * padded_out_);
      for (int64_t e = 0; e < values && v_bias; ++e)
        made_bias_[static_cast<size_t>(h * values + e)] = spec.out_scale * v_bias[e];
      continue;
    }
    std::fill_n(made, channels * padded_made_, 0.0f);
    const double factor = static_cast<double>(spec.gain) * spec.out_scale;
    for (int64_t o = 0; o < out; ++o) {
      std::fill(row.begin(), row.end(), 0.0);
      double sum = 0.0;
      for (int64_t e = 0; e < values; ++e) {
        const double weight = to_out[o * width + e];
        for (int64_t c = 0; c < channels; ++c) row[static_cast<size_t>(c)] += weight * to_v[e * channels + c];
        if (v_bias) sum += weight * v_bias[e];
      }
      for (int64_t c = 0; c < channels; ++c)
        made[c * padded_made_ + o] = static_cast<float>(factor * row[static_cast<size_t>(c)]);
      bias[static_cast<size_t>(o)] += spec.out_scale * sum;  // q's weights sum to 1 in each head
    }
  }
  for (int64_t o = 0; o < out; ++o)
    out_bias_[static_cast<size_t>(o)] = static_cast<float>(spec.gain * bias[static_cast<size_t>(o)]);
  if (!spec.bfloat16) return;
  const Kernels& k = kernels();
  query_pairs_ = round_packed(k, queries_, spec.heads, channels, padded_features_);
  key_pairs_ = round_packed(k, keys_, spec.heads, channels, padded_features_);
  LargeVector().swap(keys_);
  if (spec.gelu) last_pairs_ = round_packed(k, last_, spec.heads, values, padded_out_);
}

// `heads` heads, which share what is gathered, over positions `first` to `last`.
void Attention::sum_segment(const float* source, int64_t positions, int64_t first, int64_t last, int64_t head,
                            int64_t heads, float* sums, float* largest, float* weighted) const {
  const Kernels& k = kernels();
  const int64_t channels = spec_.channels, features = padded_features_, size = channels * features;
  float* run = thread_memory(ThreadMemory::values, kRun * channels * kPanel);
  float* weights = thread_memory(ThreadMemory::sums, kPanel * features + features);
  float* scale = weights + kPanel * features;
  std::fill_n(sums, heads * features, 0.0f);
  std::fill_n(largest, heads * features, -std::numeric_limits<float>::infinity());
  for (int64_t at = first; at < last; at += kPanel) {
    const int64_t width = std::min(kPanel, last - at), index = (at - first) / kPanel % kRun;
    if (index == 0) gather_run(source + at, channels, positions, std::min(kRun * kPanel, last - at), run);
    const float* panel = run + index * channels * kPanel;
    for (int64_t h = 0; h < heads; ++h) {
      const PanelProduct keys = {width, features, channels, 1, kPanel, features, features};
      k.panel_product(keys, panel, keys_.data() + (head + h) * size, nullptr, nullptr, weights);
      k.exp2_columns(width, features, weights, largest + h * features, sums + h * features, scale);
      const PanelProduct add = {channels, features, width,    kPanel,
                                1,        features, features, at == first ? Join::replace : Join::rescale};
      k.panel_product(add, panel, weights, nullptr, scale, weighted + h * size);
    }
  }
}

// What is multiplied by q's weights: [features][padded_made_], or pairs of them in bfloat16. `centres`: null, or what
// was taken off the source.
void Attention::make_context(const Sums& s, const float* centres, int64_t sample, int64_t head, float* context) const {
  const Kernels& k = kernels();
  const size_t wide = static_cast<size_t>(s.features);
  std::vector<float> shares(static_cast<size_t>(s.segments) * wide), total(wide, 0.0f), unused(2 * wide, 0.0f);
  std::vector<float> largest(wide, -std::numeric_limits<float>::infinity());
  for (int64_t g = 0; g < s.segments; ++g)
    std::copy_n(s.largest + s.at(sample, g, head) * s.features, wide, shares.data() + static_cast<size_t>(g) * wide);
  k.exp2_columns(s.segments, s.features, shares.data(), largest.data(), unused.data(), unused.data() + wide);
  for (size_t e = 0; e < shares.size(); ++e)
    total[e % wide] += shares[e] * (s.sums + s.at(sample, static_cast<int64_t>(e / wide), head) * s.features)[e % wide];
  for (size_t e = 0; e < shares.size(); ++e) shares[e] /= total[e % wide];
  float* sum = thread_memory(ThreadMemory::values, s.size);
  std::fill_n(sum, s.size, 0.0f);
  for (int64_t g = 0; g < s.segments; ++g)
    k.add_scaled_columns(spec_.channels, s.features, s.weighted + s.at(sample, g, head) * s.size,
                         shares.data() + static_cast<size_t>(g) * wide, sum);
  for (int64_t c = 0; centres && c < spec_.channels; ++c)
    for (int64_t f = 0; f < s.features; ++f) sum[c * s.features + f] += centres[c];
  const PanelProduct p = {spec_.features, padded_made_, spec_.channels, 1, s.features, padded_made_, padded_made_};
  k.panel_product(p, sum, made_.data() + head * spec_.channels * padded_made_, nullptr, nullptr, context);
}

// `width` positions of a panel, of all heads.
void Attention::attend(const float* panel, const float* contexts, int64_t width, float* made) const {
  const Kernels& k = kernels();
  const int64_t channels = spec_.channels, features = spec_.features, values = spec_.values;
  const int64_t out_channels = spec_.out_channels, columns = padded_to_block(width);
  float* weights = thread_memory(ThreadMemory::sums, (features + values + 4) * kPanel);
  float* attended = weights + features * kPanel;
  float* sums = attended + values * kPanel;
  float *largest = sums + kPanel, *scale = largest + kPanel, *ones = scale + kPanel;
  for (int64_t o = 0; o < out_channels; ++o)
    std::fill_n(made + o * columns, columns, out_bias_[static_cast<size_t>(o)]);
  std::fill_n(ones, kPanel, 1.0f);
  for (int64_t h = 0; h < spec_.heads; ++h) {
    const PanelProduct queries = {features, columns, channels, 1, padded_features_, kPanel, columns};
    k.panel_product(queries, queries_.data() + h * channels * padded_features_, panel,
                    query_bias_.data() + h * padded_features_, nullptr, weights);
    std::fill_n(sums, columns, 0.0f);
    std::fill_n(largest, columns, -std::numeric_limits<float>::infinity());
    k.exp2_columns(features, columns, weights, largest, sums, scale);
    for (int64_t e = 0; e < columns; ++e) sums[e] = 1.0f / sums[e];
    const float* context = contexts + h * features * padded_made_;
    PanelProduct p = {out_channels, columns, features, 1, padded_made_, columns, columns, Join::add_scaled};
    if (!spec_.gelu) {
      k.panel_product(p, context, weights, nullptr, sums, made);
      continue;
    }
    for (int64_t e = 0; e < values; ++e)
      std::fill_n(attended + e * columns, columns, made_bias_[static_cast<size_t>(h * values + e)]);
    p.rows = values;
    k.panel_product(p, context, weights, nullptr, sums, attended);
    const float none = 0.0f;
    k.bias_act(attended, static_cast<size_t>(values * columns), &none, 0, {Activation::gelu, 0.0f, 1.0f, -1.0f},
               attended);
    p.rows = out_channels, p.terms = values, p.a_term = padded_out_;
    k.panel_product(p, last_.data() + h * values * padded_out_, attended, nullptr, ones, made);
  }
}

void Attention::compute(const float* x, const float* contexts, int64_t positions, int64_t width, float* made) const {
  float* run = thread_memory(ThreadMemory::values, kRun * kPanel * spec_.channels);
  gather_run(x, spec_.channels, positions, width, run);
  for (int64_t e = 0; e < width; e += kPanel)
    attend(run + e * spec_.channels, contexts, std::min(kPanel, width - e), made + e * spec_.out_channels);
}

void Attention::run(const float* x, const float* source, const float* residual, const Shape4& shape,
                    const Threads& threads, float* out) const {
  const int64_t positions = shape.h * shape.w, heads = spec_.heads, channels = spec_.channels;
  if (shape.n < 1 || positions < 1) return;
  const int64_t segment = segment_of(positions);
  const int64_t runs = divide_up(positions, kRun * kPanel), context = spec_.features * padded_made_;
  const int64_t start = spec_.bfloat16 ? start_size() : 0;
  Sums sums = {};
  sums.segments = divide_up(positions, segment), sums.heads = heads;
  sums.features = padded_features_, sums.size = channels * padded_features_;
  const int64_t each = sums.segments * heads;  // of a sample
  const int64_t together = std::min(shape.n, std::max<int64_t>(1, kSumFloats / (each * sums.size)));
  sums.weighted = thread_memory(ThreadMemory::shared,
                                together * (each * (sums.size + 2 * sums.features) + heads * (context + start)));
  sums.sums = sums.weighted + together * each * sums.size;
  sums.largest = sums.sums + together * each * sums.features;
  float* contexts = sums.largest + together * each * sums.features;
  float* starts = contexts + together * heads * context;
  std::vector<float> x_centres, source_centres;
  for (int64_t first = 0; first < shape.n; first += together) {
    const int64_t samples = std::min(together, shape.n - first), image = channels * positions;
    const float *here = x + first * image, *near = source + first * image;
    if (spec_.bfloat16) {
      x_centres = plane_centres(kernels(), here, samples * channels, positions, threads);
      source_centres = x == source ? x_centres : plane_centres(kernels(), near, samples * channels, positions, threads);
    }
    const int64_t group = samples * sums.segments < kFewTasks ? 4 : 8, groups = divide_up(heads, group);
    parallel_for(static_cast<uint64_t>(samples * sums.segments * groups), threads, [&](uint64_t task) {
      const int64_t s = static_cast<int64_t>(task), head = s % groups * group, count = std::min(group, heads - head);
      const int64_t part = s / groups % sums.segments, sample = s / groups / sums.segments;
      const int64_t at = sums.at(sample, part, head), begin = part * segment,
                    end = std::min(positions, begin + segment);
      float *total = sums.sums + at * sums.features, *largest = sums.largest + at * sums.features;
      float* weighted = sums.weighted + at * sums.size;
      if (spec_.bfloat16)
        sum_segment_bf16(near + sample * image, source_centres.data() + sample * channels, positions, begin, end, head,
                         count, total, largest, weighted);
      else
        sum_segment(near + sample * image, positions, begin, end, head, count, total, largest, weighted);
    });
    parallel_for(static_cast<uint64_t>(samples * heads), threads, [&](uint64_t task) {
      const int64_t s = static_cast<int64_t>(task), centre = s / heads * channels;
      if (!spec_.bfloat16) return make_context(sums, nullptr, s / heads, s % heads, contexts + s * context);
      float* made = thread_memory(ThreadMemory::strip, context);
      make_context(sums, source_centres.data() + centre, s / heads, s % heads, made);
      begin(x_centres.data() + centre, s % heads, made, contexts + s * context, starts + s * start);
    });
    parallel_for(static_cast<uint64_t>(samples * runs), threads, [&](uint64_t task) {
      const int64_t s = static_cast<int64_t>(task) / runs, begin = static_cast<int64_t>(task) % runs * kRun * kPanel;
      const int64_t width = std::min(kRun * kPanel, positions - begin);
      const int64_t to = (first + s) * spec_.out_channels * positions + begin;
      const float *from = here + s * image + begin, *matrices = contexts + s * heads * context;
      float* made = thread_memory(ThreadMemory::strip, kRun * kPanel * spec_.out_channels);
      if (spec_.bfloat16)
        compute_bf16(from, x_centres.data() + s * channels, starts + s * heads * start, matrices, positions, width,
                     made);
      else
        compute(from, matrices, positions, width, made);
      scatter_run(kernels(), made, spec_.out_channels, positions, width, residual ? residual + to : nullptr, out + to);
    });
  }
}

}  // namespace dsb
