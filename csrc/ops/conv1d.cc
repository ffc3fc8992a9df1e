#include "ops/conv1d.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "ops/conv1d_sizes.h"
#include "ops/dispatch.h"

namespace dsb {
namespace {

constexpr int64_t kChunkBytes = 256 << 10;  // direct: input that stays in the second-level cache over all channels
constexpr int64_t kPanelBytes = 600 << 10;  // Toom-Cook: values and sums at the points, likewise

int64_t lanes() { return static_cast<int64_t>(kernels().lanes); }

// Units that a block of `rows` output channels makes.
int64_t units_of(Layout layout, int64_t rows) { return layout == Layout::lanes ? rows : kChannelBlock / lanes(); }

}  // namespace

ChannelBlock::ChannelBlock(Layout layout, int64_t channels, int64_t more_channels, int64_t length, int64_t halo)
    : layout_(layout), channels_{channels, more_channels}, length_(length), halo_(halo) {
  const int64_t width = lanes(), positions = length + 2 * halo;
  for (int k = 0; k < 2; ++k) units_[k] = layout == Layout::lanes ? channels_[k] : padded(channels_[k]) / width;
  const int64_t units = units_[0] + units_[1];
  // A row is never a whole number of pages: rows a power of two apart would fall on the same lines of the caches.
  unit_ = layout == Layout::lanes ? positions * width + 16 : width;
  step_ = layout == Layout::lanes ? width : units * width;
  memory_.assign(static_cast<size_t>(layout == Layout::lanes ? units * unit_ : positions * step_), 0.0f);
}

ChannelView ChannelBlock::part(int begin, int end) {
  int64_t before = 0, units = 0;
  for (int k = 0; k < begin; ++k) before += units_[k];
  for (int k = begin; k < end; ++k) units += units_[k];
  ChannelView view = {layout_, memory_.data() + before * unit_ + halo_ * step_, unit_, step_, units, length_, {}};
  if (layout_ == Layout::lanes) {
    view.runs.push_back({0, units, unit_});
  } else {
    for (int64_t k = begin, at = 0; k < end; at += units_[k] * unit_, ++k)
      if (channels_[k]) view.runs.push_back({at, channels_[k], 1});
  }
  return view;
}

int64_t Conv1dLayer::out_length(int64_t length) const {
  const int64_t room = length * spec_.repetition + 2 * spec_.padding - spec_.taps;
  if (room < 0) throw std::invalid_argument("conv1d: " + std::to_string(length) + " points are too few for this layer");
  return room / spec_.stride + 1;
}

int64_t Conv1dLayer::phase_count(int64_t phase, int64_t length) const {
  return (out_length(length) - phase + spec_.repetition - 1) / spec_.repetition;
}

const float* Conv1dLayer::bias_of(Layout layout, int64_t channel) const {
  return layout == Layout::lanes ? bias_lanes_.data() + channel * lanes() : bias_ + channel;
}

void Conv1dLayer::run(const ChannelView& in, const ChannelView& out, Scratch& scratch) const {
  if (spec_.algorithm == Algorithm::bfloat16) run_bf16(in, out);
  if (spec_.algorithm == Algorithm::direct) run_direct(in, out);
  if (by_points()) run_toom(in, out, scratch);
  // What those did not do: all of it for direct layers, tanh for all.
  const bool direct = spec_.algorithm == Algorithm::direct, tanh = spec_.activation == Activation::tanh;
  if (!direct && !tanh) return;
  const Kernels& k = kernels();
  const ActivationOptions options = {spec_.activation, spec_.slope, 1.0f, -1.0f};
  const std::vector<float> none(static_cast<size_t>(padded(spec_.out_channels)), 0.0f);
  if (out.layout == Layout::lanes) {
    for (int64_t c = 0; c < spec_.out_channels; ++c) {
      float* row = out.first + c * out.unit;
      k.bias_act(row, static_cast<size_t>(out.length * lanes()), direct ? bias_ + c : none.data(), 0, options, row);
    }
    return;
  }
  for (int64_t t = 0; t < out.length; ++t) {
    float* row = out.first + t * out.step;
    k.bias_act(row, none.size(), direct ? bias_ : none.data(), 1, options, row);
  }
}

void Conv1dLayer::run_direct(const ChannelView& in, const ChannelView& out) const {
  for (int64_t phase = 0; phase < spec_.repetition; ++phase) run_phase(in, out, phase);
}

void Conv1dLayer::run_phase(const ChannelView& in, const ChannelView& out, int64_t phase) const {
  const Kernels& k = kernels();
  const Phase& p = phases_[static_cast<size_t>(phase)];
  const int64_t count = phase_count(phase, in.length), block = spec_.in_channels * p.taps * kChannelBlock;
  Product product = {};
  product.runs = in.runs.data(), product.run_count = static_cast<int64_t>(in.runs.size());
  product.tap_step = in.step, product.weight_step = p.taps * kChannelBlock;
  product.tile_step = spec_.stride * in.step;
  product.out_row = out.unit, product.out_tile = spec_.repetition * out.step;
  const auto sums = [&](int64_t begin, int64_t end, int64_t first_tap, int64_t taps) {
    product.tiles = end - begin;
    product.taps = taps;
    for (int64_t o = 0; o < spec_.out_channels; o += kChannelBlock) {
      product.rows = std::min(kChannelBlock, spec_.out_channels - o);
      const float* from = in.first + (begin * spec_.stride + p.first + first_tap) * in.step;
      const float* weight = packed_ + p.at + o / kChannelBlock * block + first_tap * kChannelBlock;
      float* to =
          out.first + (in.layout == Layout::lanes ? o * out.unit : o) + (begin * spec_.repetition + phase) * out.step;
      (in.layout == Layout::lanes ? k.product_lanes : k.product_channels)(product, from, weight, to);
    }
  };
  // Taps that meet the halo would add zeros: positions at the ends leave them out, all others go through in chunks.
  const int64_t inside_begin = std::clamp<int64_t>(ceil_divide(-p.first, spec_.stride), 0, count);
  const int64_t inside_end =
      std::clamp<int64_t>(floor_divide(in.length - p.first - p.taps, spec_.stride) + 1, inside_begin, count);
  const int64_t position = spec_.in_channels * spec_.stride * lanes() * static_cast<int64_t>(sizeof(float));
  const int64_t chunk = std::max<int64_t>(4, kChunkBytes / position / 4 * 4);
  const auto alone = [&](int64_t t) {
    const int64_t begin = t * spec_.stride + p.first, first = std::max<int64_t>(0, -begin);
    const int64_t last = std::min(p.taps, in.length - begin);
    sums(t, t + 1, std::min(first, p.taps), std::max<int64_t>(0, last - first));
  };
  for (int64_t t = 0; t < inside_begin; ++t) alone(t);
  for (int64_t t = inside_begin; t < inside_end; t += chunk) sums(t, std::min(t + chunk, inside_end), 0, p.taps);
  for (int64_t t = inside_end; t < count; ++t) alone(t);
}

// How a Toom-Cook layer cuts its input. Low-rate position c reads input points first + c * stride and on.
struct Conv1dLayer::Tiling {
  Toom kind;
  int64_t outputs, reads, points;  // of a tile
  int64_t first, positions, tiles;
};

Conv1dLayer::Tiling Conv1dLayer::tiling(int64_t length) const {
  Tiling t = {};
  t.kind = spec_.algorithm == Algorithm::toom4x5 ? Toom::f4x5 : Toom::f8x13;
  t.outputs = t.kind == Toom::f4x5 ? 4 : 8;
  t.reads = t.kind == Toom::f4x5 ? 8 : 20;
  t.points = t.kind == Toom::f4x5 ? 8 : 32;
  const int64_t out = out_length(length);
  if (spec_.repetition == 1) {
    t.first = -spec_.padding;
    t.positions = out;
  } else {  // out[repetition * c + d + padding] needs the filters at c and, for d > 0, at c + 1
    t.first = floor_divide(-spec_.padding, spec_.repetition);
    t.positions = ceil_divide(out - 1 - spec_.padding, spec_.repetition) + 1 - t.first;
  }
  t.tiles = ceil_divide(t.positions, t.outputs);
  return t;
}

int64_t Conv1dLayer::halo(int64_t length) const {
  if (by_points()) {
    const Tiling t = tiling(length);
    const int64_t last = t.first + ((t.tiles - 1) * t.outputs + t.reads - 1) * spec_.stride + spec_.stride - 1;
    return std::max<int64_t>({0, -t.first, last - (length - 1)});
  }
  int64_t most = 0;
  for (int64_t phase = 0; phase < spec_.repetition; ++phase) {
    const Phase& p = phases_[static_cast<size_t>(phase)];
    const int64_t last = (phase_count(phase, length) - 1) * spec_.stride + p.first + p.taps - 1;
    most = std::max({most, -p.first, last - (length - 1)});
  }
  return most;
}

void Conv1dLayer::run_toom(const ChannelView& in, const ChannelView& out, Scratch& scratch) const {
  const Kernels& k = kernels();
  const bool by_lanes = in.layout == Layout::lanes;
  const Tiling t = tiling(in.length);
  const int64_t width = lanes(), signals = spec_.stride, filters = spec_.repetition;
  const int64_t in_floats = in.units * width, sum_length = signals * spec_.in_channels;
  const int64_t tile_floats = signals * in_floats;                    // values of a tile at one point
  const int64_t sum_floats = kChannelBlock * (by_lanes ? width : 1);  // of a tile at one point
  const int64_t rows = std::min(kChannelBlock, spec_.out_channels);
  const int64_t tile_bytes =
      t.points * (tile_floats + filters * rows * sum_floats / kChannelBlock) * static_cast<int64_t>(sizeof(float));
  int64_t panel = std::min(t.tiles, std::max<int64_t>(4, kPanelBytes / tile_bytes / 4 * 4));
  panel = ceil_divide(t.tiles, ceil_divide(t.tiles, panel));
  // Points a power of two apart would fall on the same lines of the first-level cache: a line between them.
  constexpr int64_t apart = 16;
  scratch.points.resize(static_cast<size_t>(t.points * (panel * tile_floats + apart)));
  scratch.sums.resize(static_cast<size_t>(filters * t.points * (panel * sum_floats + apart)));
  const int64_t carry_unit = (filters - 1) * width;
  scratch.carry.assign(static_cast<size_t>(padded(spec_.out_channels) * carry_unit + width), 0.0f);

  std::vector<Run> runs;
  for (int64_t begin = 0; begin < t.tiles; begin += panel) {
    const int64_t tiles = std::min(panel, t.tiles - begin);
    ToomForward forward = {t.kind, in.units, in.unit, signals * in.step, tiles, 0, 0, tiles * tile_floats + apart};
    forward.v_unit = by_lanes ? tiles * width : width;
    forward.v_tile = by_lanes ? width : tile_floats;
    const float* x = in.first + (t.first + begin * t.outputs * signals) * in.step;
    for (int64_t r = 0; r < signals; ++r)
      k.toom_forward(forward, x + r * in.step, scratch.points.data() + r * in.units * forward.v_unit);

    Product product = {};
    runs.clear();
    if (by_lanes) {
      runs.push_back({0, sum_length, forward.v_unit});
    } else {
      for (int64_t r = 0; r < signals; ++r)
        for (const Run& run : in.runs) runs.push_back({r * in_floats + run.offset, run.count, 1});
    }
    product.runs = runs.data(), product.run_count = static_cast<int64_t>(runs.size());
    product.taps = 1, product.weight_step = kChannelBlock;
    product.tiles = tiles, product.tile_step = forward.v_tile;
    product.out_row = tiles * width;
    product.out_tile = by_lanes ? width : kChannelBlock;
    ToomInverse inverse = {};
    inverse.kind = t.kind, inverse.tiles = tiles, inverse.phases = filters;
    inverse.m_unit = by_lanes ? tiles * width : width, inverse.m_tile = product.out_tile;
    inverse.m_point = tiles * sum_floats + apart;
    inverse.m_phase = t.points * inverse.m_point;
    inverse.out_unit = out.unit, inverse.out_step = out.step, inverse.length = out.length;
    inverse.first = filters == 1 ? begin * t.outputs : (t.first + begin * t.outputs) * filters + spec_.padding;
    inverse.activation = spec_.activation == Activation::tanh ? Activation::linear : spec_.activation;
    inverse.slope = spec_.slope;
    const float* weight = packed_;
    for (int64_t o = 0; o < spec_.out_channels; o += kChannelBlock) {
      product.rows = std::min(kChannelBlock, spec_.out_channels - o);
      for (int64_t s = 0; s < filters * t.points; ++s, weight += sum_length * kChannelBlock)
        (by_lanes ? k.product_lanes : k.product_channels)(product,
                                                          scratch.points.data() + s % t.points * forward.v_point,
                                                          weight, scratch.sums.data() + s * inverse.m_point);
      inverse.units = units_of(out.layout, product.rows);
      const int64_t unit = by_lanes ? o : o / width;
      k.toom_inverse(inverse, scratch.sums.data(), bias_of(out.layout, o), scratch.carry.data() + unit * carry_unit,
                     out.first + unit * out.unit);
    }
  }
}

void to_view(const float* x, int64_t count, const ChannelView& out) {
  if (out.layout == Layout::channels) {
    int64_t c = 0;
    for (const Run& run : out.runs)
      for (int64_t k = 0; k < run.count; ++k, ++c)
        for (int64_t t = 0; t < out.length; ++t) out.first[t * out.step + run.offset + k] = x[c * out.length + t];
    return;
  }
  constexpr int64_t piece = 64;  // positions whose lines stay in the first-level cache
  const int64_t width = lanes();
  for (int64_t c = 0; c < out.units; ++c)
    for (int64_t begin = 0; begin < out.length; begin += piece) {
      const int64_t end = std::min(begin + piece, out.length);
      for (int64_t lane = 0; lane < width; ++lane) {
        float* to = out.first + c * out.unit + lane;
        const float* from = x + (lane * out.units + c) * out.length;
        for (int64_t t = begin; t < end; ++t) to[t * width] = lane < count ? from[t] : 0.0f;
      }
    }
}

void from_view(const ChannelView& in, int64_t count, float* x) {
  if (in.layout == Layout::channels) {
    int64_t c = 0;
    for (const Run& run : in.runs)
      for (int64_t k = 0; k < run.count; ++k, ++c)
        for (int64_t t = 0; t < in.length; ++t) x[c * in.length + t] = in.first[t * in.step + run.offset + k];
    return;
  }
  constexpr int64_t piece = 64;
  const int64_t width = lanes();
  for (int64_t c = 0; c < in.units; ++c)
    for (int64_t begin = 0; begin < in.length; begin += piece) {
      const int64_t end = std::min(begin + piece, in.length);
      for (int64_t lane = 0; lane < count; ++lane) {
        const float* from = in.first + c * in.unit + lane;
        float* to = x + (lane * in.units + c) * in.length;
        for (int64_t t = begin; t < end; ++t) to[t] = from[t * width];
      }
    }
}

}  // namespace dsb
