// Toom-Cook layers: inputs to the points, sums of products at each, back to outputs.
#include <algorithm>

#include "ops/conv1d.h"
#include "ops/conv1d_sizes.h"

namespace dsb {
namespace {

constexpr int64_t kPanelBytes = 600 << 10;  // values and sums at the points that stay in the second-level cache

// Points a power of two apart would fall on the same lines of the first-level cache: a line between them.
constexpr int64_t kApart = 16;

// Units that a block of `rows` output channels makes.
int64_t units_of(Layout layout, int64_t rows) { return layout == Layout::lanes ? rows : kChannelBlock / lanes(); }

// Never back: what is added later would be set to zero each time.
void grow(LargeVector& memory, int64_t floats) {
  if (static_cast<int64_t>(memory.size()) < floats) memory.resize(static_cast<size_t>(floats));
}

}  // namespace

// How a Toom-Cook layer cuts its input. Low-rate position c reads input points first + c * stride and on.
struct Conv1dLayer::Tiling {
  Toom kind;
  int64_t outputs, reads, points;  // of a tile
  int64_t first, positions, tiles;
};

Conv1dLayer::Tiling Conv1dLayer::tiling(int64_t length) const {
  Tiling t = {};
  const bool four = spec_.algorithm == Algorithm::toom4x5, six = spec_.algorithm == Algorithm::toom6x5;
  t.kind = four ? Toom::f4x5 : six ? Toom::f6x5 : Toom::f12x13;
  t.outputs = four ? 4 : six ? 6 : 12;
  t.reads = four ? 8 : six ? 10 : 24;
  t.points = points();
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

int64_t Conv1dLayer::tiles(int64_t length) const { return tiling(length).tiles; }

int64_t Conv1dLayer::halo_of_tiles(int64_t length) const {
  const Tiling t = tiling(length);
  const int64_t last = t.first + ((t.tiles - 1) * t.outputs + t.reads - 1) * spec_.stride + spec_.stride - 1;
  return std::max<int64_t>({0, -t.first, last - (length - 1)});
}

// The slots' tiles stand one behind the other, so that weights are read once for many. A part that begins within an
// up-sampling layer makes the tile before as well, for what its last position gives to the next.
void Conv1dLayer::run_toom(const std::vector<Slot>& slots, const Part& part, Scratch& scratch) const {
  const Kernels& k = kernels();
  const ChannelView &in = *slots.front().in, &out = *slots.front().out;
  const bool by_lanes = in.layout == Layout::lanes;
  const Tiling t = tiling(in.length);
  const int64_t first = part.first > 0 && spec_.repetition > 1 ? part.first - 1 : part.first;
  const int64_t tiles_of_slot = part.first + part.count - first;
  const int64_t all = tiles_of_slot * static_cast<int64_t>(part.slots);
  const int64_t width = lanes(), signals = spec_.stride, filters = spec_.repetition;
  const int64_t in_floats = in.units * width, sum_length = signals * spec_.in_channels;
  const int64_t tile_floats = signals * in_floats;                // values of a tile at one point
  const int64_t sums_of_tile = (filters * t.points + 1) * width;  // of one unit; an odd number of lines
  const int64_t units = units_of(out.layout, std::min(kChannelBlock, spec_.out_channels));
  const int64_t tile_bytes = (t.points * tile_floats + units * sums_of_tile) * static_cast<int64_t>(sizeof(float));
  int64_t panel = std::min(all, std::max<int64_t>(4, kPanelBytes / tile_bytes / 4 * 4));
  panel = ceil_divide(all, ceil_divide(all, panel));
  grow(scratch.points, t.points * (panel * tile_floats + kApart));
  grow(scratch.sums, units * panel * sums_of_tile);
  const int64_t carry_unit = (filters - 1) * width;
  grow(scratch.carry, padded(spec_.out_channels) * carry_unit + width);

  const auto first_output = [&](int64_t tile) {
    return filters == 1 ? tile * t.outputs : (t.first + tile * t.outputs) * filters + spec_.padding;
  };
  // Outputs before the part's own are left out as those before position 0 are.
  const int64_t begin_output = std::max<int64_t>(0, first_output(part.first) - (filters - 1));

  std::vector<Run> runs;
  for (int64_t begin = 0; begin < all; begin += panel) {
    const int64_t tiles = std::min(panel, all - begin);
    // Calls work(slot, first tile of the slot, tiles, offset in the panel) for each slot's share of the panel.
    const auto for_each_share = [&](auto work) {
      for (int64_t at = begin; at < begin + tiles;) {
        const int64_t tile = at % tiles_of_slot, here = std::min(tiles_of_slot - tile, begin + tiles - at);
        work(slots[part.slot + static_cast<size_t>(at / tiles_of_slot)], first + tile, here, at - begin);
        at += here;
      }
    };
    ToomForward forward = {t.kind, in.units, in.unit, signals * in.step, 0, 0, 0, tiles * tile_floats + kApart};
    forward.v_unit = by_lanes ? tiles * width : width;
    forward.v_tile = by_lanes ? width : tile_floats;
    for_each_share([&](const Slot& slot, int64_t tile, int64_t count, int64_t at) {
      forward.tiles = count;
      const float* x = slot.in->first + (t.first + tile * t.outputs * signals) * in.step;
      float* v = scratch.points.data() + at * forward.v_tile;
      for (int64_t r = 0; r < signals; ++r) k.toom_forward(forward, x + r * in.step, v + r * in.units * forward.v_unit);
    });

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
    product.out_row = tiles * sums_of_tile, product.out_tile = sums_of_tile;
    ToomInverse inverse = {};
    inverse.kind = t.kind, inverse.phases = filters;
    inverse.m_unit = product.out_row, inverse.m_tile = product.out_tile;
    inverse.out_unit = out.unit, inverse.out_step = out.step;
    inverse.activation = spec_.activation, inverse.slope = spec_.slope;
    const int64_t slab = sum_length * kChannelBlock, first_row = part.block * kChannelBlock;
    const int64_t end_row = std::min(first_row + part.blocks * kChannelBlock, spec_.out_channels);
    product.v_series = forward.v_point, product.weight_series = slab, product.out_series = width;
    if (!by_lanes) product.series = t.points;
    const float* weight = packed_ + part.block * filters * t.points * slab;
    for (int64_t o = first_row; o < end_row; o += kChannelBlock) {
      product.rows = std::min(kChannelBlock, spec_.out_channels - o);
      for (int64_t s = 0; s < filters * t.points; s += product.series, weight += product.series * slab)
        (by_lanes ? k.product_lanes : k.product_channels)(
            product, scratch.points.data() + s % t.points * forward.v_point, weight, scratch.sums.data() + s * width);
      inverse.units = units_of(out.layout, product.rows);
      const int64_t unit = by_lanes ? o : o / width;
      float* carry = scratch.carry.data() + unit * carry_unit;
      for_each_share([&](const Slot& slot, int64_t tile, int64_t count, int64_t at) {
        if (tile == first) std::fill(carry, carry + inverse.units * carry_unit, 0.0f);
        inverse.tiles = count;
        inverse.first = first_output(tile) - begin_output, inverse.length = out.length - begin_output;
        k.toom_inverse(inverse, scratch.sums.data() + at * inverse.m_tile, bias_of(out.layout, o), carry,
                       slot.out->first + unit * out.unit + begin_output * out.step);
      });
    }
  }
}

}  // namespace dsb
