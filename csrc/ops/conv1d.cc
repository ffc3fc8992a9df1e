#include "ops/conv1d.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "ops/conv1d_sizes.h"

namespace dsb {
namespace {

constexpr int64_t kChunkBytes = 256 << 10;    // direct: input that stays in the second-level cache over all channels
constexpr int64_t kManyWeights = 1 << 16;     // so many are read by one thread each rather than by all,
constexpr int64_t kWeightsPerPart = 1 << 18;  // and so many of them are worth a part
constexpr int64_t kPartsPerThread = 2;        // so that one that comes late holds up nobody
constexpr int64_t kLeastTiles = 4;  // of a part: an up-sampling layer makes one tile twice where two parts meet

}  // namespace

ChannelBlock::ChannelBlock(Layout layout, int64_t channels, int64_t more_channels, int64_t length, int64_t halo,
                           int64_t copies)
    : layout_(layout), channels_{channels, more_channels}, length_(length), halo_(halo) {
  const int64_t width = lanes(), positions = length + 2 * halo;
  for (int k = 0; k < 2; ++k) units_[k] = layout == Layout::lanes ? channels_[k] : padded(channels_[k]) / width;
  const int64_t units = units_[0] + units_[1];
  // A row is never a whole number of pages: rows a power of two apart would fall on the same lines of the caches.
  unit_ = layout == Layout::lanes ? positions * width + 16 : width;
  step_ = layout == Layout::lanes ? width : units * width;
  copy_ = (layout == Layout::lanes ? units * unit_ : positions * step_) + 16;
  memory_.assign(static_cast<size_t>(copies * copy_), 0.0f);
}

ChannelView ChannelBlock::part(int64_t copy, int begin, int end) {
  int64_t before = 0, units = 0;
  for (int k = 0; k < begin; ++k) before += units_[k];
  for (int k = begin; k < end; ++k) units += units_[k];
  ChannelView view = {
      layout_, memory_.data() + copy * copy_ + before * unit_ + halo_ * step_, unit_, step_, units, length_, {}};
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

std::vector<Conv1dLayer::Part> Conv1dLayer::parts(size_t slots, int64_t length, unsigned threads) const {
  const int64_t blocks = padded(spec_.out_channels) / kChannelBlock, all = items(length);
  if (threads == 1 || spec_.algorithm == Algorithm::bfloat16) return {{0, slots, 0, blocks, 0, all}};
  std::vector<Part> parts;
  const int64_t most = kPartsPerThread * threads;
  // Calls add(first, count) for shares of `count` that differ by at most one.
  const auto split = [](int64_t count, int64_t shares, auto add) {
    for (int64_t k = 0; k < shares; ++k) add(count * k / shares, count * (k + 1) / shares - count * k / shares);
  };
  if (packed_size(spec_) > kManyWeights && blocks >= threads)
    split(blocks, std::min(blocks, most),
          [&](int64_t first, int64_t count) { parts.push_back({0, slots, first, count, 0, all}); });
  else
    for (size_t slot = 0; slot < slots; ++slot)
      split(all, std::max<int64_t>(1, std::min(most, all / kLeastTiles)),
            [&](int64_t first, int64_t count) { parts.push_back({slot, 1, 0, blocks, first, count}); });
  return parts;
}

// What a part counts: tiles, or positions of the phase that has the most.
int64_t Conv1dLayer::items(int64_t length) const { return by_points() ? tiles(length) : phase_count(0, length); }

void Conv1dLayer::run(const std::vector<Slot>& slots, Scratch& scratch) const {
  if (!slots.empty()) run(slots, parts(slots.size(), slots.front().in->length, 1).front(), scratch);
}

void Conv1dLayer::run(const std::vector<Slot>& slots, const Part& part, Scratch& scratch) const {
  if (spec_.algorithm == Algorithm::bfloat16)
    for (const Slot& slot : slots) {
      run_bf16(*slot.in, *slot.out);
      for (int64_t o = 0; o < spec_.out_channels && spec_.activation == Activation::tanh; o += kChannelBlock)
        activate(*slot.out, o, 0, slot.out->length, false);
    }
  if (spec_.algorithm == Algorithm::direct) run_direct(slots, part);
  if (by_points()) run_toom(slots, part, scratch);
}

// Bias (if not added yet) and activation of block `o` at positions [begin, end), in place.
void Conv1dLayer::activate(const ChannelView& out, int64_t o, int64_t begin, int64_t end, bool with_bias) const {
  if (begin >= end) return;
  const Kernels& k = kernels();
  const ActivationOptions options = {spec_.activation, spec_.slope, 1.0f, -1.0f};
  const float none[kChannelBlock] = {};
  const float* bias = with_bias ? bias_ + o : none;
  if (out.layout == Layout::lanes) {
    const size_t count = static_cast<size_t>((end - begin) * lanes());
    for (int64_t row = 0; row < std::min(kChannelBlock, spec_.out_channels - o); ++row) {
      float* at = out.first + (o + row) * out.unit + begin * out.step;
      k.bias_act(at, count, bias + row, 0, options, at);
    }
    return;
  }
  for (int64_t t = begin; t < end; ++t) {
    float* at = out.first + t * out.step + o;
    k.bias_act(at, static_cast<size_t>(kChannelBlock), bias, 1, options, at);
  }
}

// A block's weights of a phase are read once for all positions and slots; positions inside go through in chunks, so
// that the input stays in the second-level cache over all blocks.
void Conv1dLayer::run_direct(const std::vector<Slot>& all, const Part& part) const {
  const auto from = all.begin() + static_cast<std::ptrdiff_t>(part.slot);
  const std::vector<Slot> slots(from, from + static_cast<std::ptrdiff_t>(part.slots));
  const bool by_lanes = slots.front().in->layout == Layout::lanes;
  const int64_t length = slots.front().in->length, together = by_lanes ? 1 : part.blocks;
  const int64_t position = spec_.in_channels * spec_.stride * lanes() * static_cast<int64_t>(sizeof(float));
  const int64_t chunk = std::max<int64_t>(4, kChunkBytes / position / 4 * 4);
  const int64_t first_row = part.block * kChannelBlock, rows = part.blocks * kChannelBlock;
  const int64_t end_row = std::min(first_row + rows, spec_.out_channels);
  for (int64_t phase = 0; phase < spec_.repetition; ++phase) {
    const Phase& p = phases_[static_cast<size_t>(phase)];
    const int64_t count = phase_count(phase, length);
    const int64_t low = std::min(count, part.first), high = std::min(count, part.first + part.count);
    // Taps that meet the halo would add zeros: positions at the ends leave them out.
    const int64_t begin = std::clamp<int64_t>(ceil_divide(-p.first, spec_.stride), low, high);
    const int64_t end = std::clamp<int64_t>(floor_divide(length - p.first - p.taps, spec_.stride) + 1, begin, high);
    for (int64_t o = first_row; o < end_row; o += together * kChannelBlock) {
      for (int64_t t = low; t < begin; ++t) alone(slots, phase, o, together, t);
      for (int64_t t = end; t < high; ++t) alone(slots, phase, o, together, t);
    }
    for (const Slot& slot : slots)
      for (int64_t t = begin; t < end; t += chunk)
        for (int64_t o = first_row; o < end_row; o += together * kChannelBlock) {
          Product tiles = product(slot, o, together, p, p.taps);
          tiles.tiles = std::min(chunk, end - t), tiles.tile_step = spec_.stride * slot.in->step;
          tiles.out_tile = spec_.repetition * slot.out->step;
          sums(slot, phase, o, t, 0, tiles);
        }
  }
  for (const Slot& slot : slots)
    for (int64_t o = first_row; o < end_row; o += kChannelBlock)
      activate(*slot.out, o, part.first * spec_.repetition,
               std::min((part.first + part.count) * spec_.repetition, slot.out->length), true);
}

// `blocks` of output channels, more than one only in layout channels.
Product Conv1dLayer::product(const Slot& slot, int64_t o, int64_t blocks, const Phase& phase, int64_t taps) const {
  Product product = {};
  product.runs = slot.in->runs.data(), product.run_count = static_cast<int64_t>(slot.in->runs.size());
  product.taps = taps, product.tap_step = slot.in->step;
  product.weight_step = kChannelBlock, product.weight_tap = spec_.in_channels * kChannelBlock;
  product.rows = std::min(kChannelBlock, spec_.out_channels - o);
  product.out_row = slot.out->unit;
  product.series = blocks, product.weight_series = phase.taps * product.weight_tap;
  product.out_series = kChannelBlock;
  return product;
}

// Sums of block `o`, and of as many behind it as `product` says, at positions [begin, end) of a phase over taps
// [first_tap, first_tap + taps); `product` says how many tiles that are and where.
void Conv1dLayer::sums(const Slot& slot, int64_t phase, int64_t o, int64_t begin, int64_t first_tap,
                       const Product& product) const {
  const Kernels& k = kernels();
  const ChannelView &in = *slot.in, &out = *slot.out;
  const Phase& p = phases_[static_cast<size_t>(phase)];
  const float* from = in.first + (begin * spec_.stride + p.first + first_tap) * in.step;
  const float* weight = packed_ + p.at + o * spec_.in_channels * p.taps + first_tap * product.weight_tap;
  const bool by_lanes = in.layout == Layout::lanes;
  float* to = out.first + (by_lanes ? o * out.unit : o) + (begin * spec_.repetition + phase) * out.step;
  (by_lanes ? k.product_lanes : k.product_channels)(product, from, weight, to);
}

// One position of all slots, without the taps that meet the halo. Slots that are equally far apart are tiles.
void Conv1dLayer::alone(const std::vector<Slot>& slots, int64_t phase, int64_t o, int64_t blocks,
                        int64_t position) const {
  const Phase& p = phases_[static_cast<size_t>(phase)];
  const int64_t at = position * spec_.stride + p.first, first = std::min(p.taps, std::max<int64_t>(0, -at));
  const int64_t last = std::min(p.taps, slots.front().in->length - at), taps = std::max<int64_t>(0, last - first);
  for (size_t begin = 0; begin < slots.size();) {
    Product tiles = product(slots[begin], o, blocks, p, taps);
    size_t end = begin + 1;
    if (end < slots.size()) {
      tiles.tile_step = slots[end].in->first - slots[begin].in->first;
      tiles.out_tile = slots[end].out->first - slots[begin].out->first;
      while (end < slots.size() && slots[end].in->first - slots[end - 1].in->first == tiles.tile_step &&
             slots[end].out->first - slots[end - 1].out->first == tiles.out_tile)
        ++end;
    }
    tiles.tiles = static_cast<int64_t>(end - begin);
    sums(slots[begin], phase, o, position, first, tiles);
    begin = end;
  }
}

int64_t Conv1dLayer::halo(int64_t length) const {
  if (by_points()) return halo_of_tiles(length);
  int64_t most = 0;
  for (int64_t phase = 0; phase < spec_.repetition; ++phase) {
    const Phase& p = phases_[static_cast<size_t>(phase)];
    const int64_t last = (phase_count(phase, length) - 1) * spec_.stride + p.first + p.taps - 1;
    most = std::max({most, -p.first, last - (length - 1)});
  }
  return most;
}

void interleave(const float* rows, int64_t row, int64_t first, int64_t positions, const ChannelView& out) {
  float* to = out.first + first * out.step;
  for (int64_t t = 0; t < positions; ++t, to += out.step) {
    const float* from = rows + t;
    for (const Run& run : out.runs)
      for (int64_t k = 0; k < run.count; ++k, from += row) to[run.offset + k] = *from;
  }
}

void deinterleave(const ChannelView& in, int64_t first, int64_t positions, float* rows, int64_t row) {
  const float* from = in.first + first * in.step;
  for (int64_t t = 0; t < positions; ++t, from += in.step) {
    float* to = rows + t;
    for (const Run& run : in.runs)
      for (int64_t k = 0; k < run.count; ++k, to += row) *to = from[run.offset + k];
  }
}

void to_view(const float* x, int64_t count, int64_t first, int64_t positions, const ChannelView& out) {
  if (out.layout == Layout::channels) return interleave(x + first, out.length, first, positions, out);
  constexpr int64_t piece = 64;  // positions whose lines stay in the first-level cache
  const int64_t width = lanes(), last = first + positions;
  for (int64_t c = 0; c < out.units; ++c)
    for (int64_t begin = first; begin < last; begin += piece) {
      const int64_t end = std::min(begin + piece, last);
      for (int64_t lane = 0; lane < width; ++lane) {
        float* to = out.first + c * out.unit + lane;
        const float* from = x + (lane * out.units + c) * out.length;
        for (int64_t t = begin; t < end; ++t) to[t * width] = lane < count ? from[t] : 0.0f;
      }
    }
}

void from_view(const ChannelView& in, int64_t count, int64_t first, int64_t positions, float* x) {
  if (in.layout == Layout::channels) return deinterleave(in, first, positions, x + first, in.length);
  constexpr int64_t piece = 64;
  const int64_t width = lanes(), last = first + positions;
  for (int64_t c = 0; c < in.units; ++c)
    for (int64_t begin = first; begin < last; begin += piece) {
      const int64_t end = std::min(begin + piece, last);
      for (int64_t lane = 0; lane < count; ++lane) {
        const float* from = in.first + c * in.unit + lane;
        float* to = x + (lane * in.units + c) * in.length;
        for (int64_t t = begin; t < end; ++t) to[t] = from[t * width];
      }
    }
}

}  // namespace dsb
