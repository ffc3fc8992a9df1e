// Separable filters of any length by tiles: the threads of a block filter the rows that a tile of results needs along x
// into shared memory, once each, then along y from there.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/planes.h"
#include "cuda/storage.h"

namespace dsb {
namespace cuda {
namespace {

constexpr int64_t kSharedFloats = 48 * 1024 / sizeof(float);  // what a block has without asking
constexpr int64_t kTileRows = 32, kFewestRows = 4;

struct Tile {
  uint32_t rows, in_rows;    // of the result, and filtered along x at most
  uint32_t groups, columns;  // inner vectors, and columns of the result
  uint32_t lanes() const { return groups * columns; }
};

// A multiple of a wide access apart: neighbouring lanes are neighbours in the banks.
template <int V>
constexpr int kChunk = V < 4 ? V : 4;

template <class T, int V>
struct TileBody {
  Planes planes;
  Tile tile;
  uint32_t tiles_g, tiles_x, tiles_y;
  uint32_t lanes, first_items, second_items;
  const T* x;
  T* y;
  FilterPlan plan;

  // What a lane of a tile works on.
  struct Lane {
    uint32_t g;
    int32_t column, row;  // of the result; row is the tile's first
    int64_t outer;
    bool inside;
  };

  DSB_HD Lane lane_of(uint32_t at, uint32_t lane) const {
    const uint32_t above = at / tiles_g, over = above / tiles_x;
    Lane made;
    made.g = at % tiles_g * tile.groups + lane % tile.groups;
    made.column = static_cast<int32_t>(above % tiles_x * tile.columns + lane / tile.groups);
    made.row = static_cast<int32_t>(over % tiles_y * tile.rows);
    made.outer = over / tiles_y;
    made.inside = made.g < planes.inner && made.column < planes.out_w;
    return made;
  }

  DSB_HD int64_t step() const { return static_cast<int64_t>(planes.inner) * V; }

  DSB_HD float* place(float* memory, uint32_t row, uint32_t chunk, uint32_t lane) const {
    return memory + ((row * (V / kChunk<V>)+chunk) * lanes + lane) * kChunk<V>;
  }

  // Row `k / lanes` of those that the tile needs, along x.
  DSB_HD void first(uint32_t at, uint32_t k, float* memory) const {
    const uint32_t row = k / lanes, lane = k % lanes;
    const Lane where = lane_of(at, lane);
    if (!where.inside) return;
    int32_t tap_y, in_y, tap, in_x;
    meet(where.row, plan.down_y, plan.top, plan.up_y, &tap_y, &in_y);
    meet(where.column, plan.down_x, plan.left, plan.up_x, &tap, &in_x);
    in_y += static_cast<int32_t>(row);
    float sums[V] = {};
    if (in_y >= 0 && in_y < planes.in_h) {
      const T* line = x + (where.outer * planes.in_h + in_y) * planes.in_w * step() + static_cast<int64_t>(where.g) * V;
      for (; tap < plan.taps_x; tap += plan.up_x, ++in_x) {
        if (in_x < 0 || in_x >= planes.in_w) continue;
        float v[V];
        load<V>(line + in_x * step(), v);
        DSB_UNROLL
        for (int e = 0; e < V; ++e) sums[e] += plan.taps[tap] * v[e];
      }
    }
    DSB_UNROLL
    for (int chunk = 0; chunk < V / kChunk<V>; ++chunk) {
      float part[kChunk<V>];
      DSB_UNROLL
      for (int e = 0; e < kChunk<V>; ++e) part[e] = sums[chunk * kChunk<V> + e];
      put_shared(part, place(memory, row, chunk, lane));
    }
  }

  // Result row `k / lanes` of the tile, along y.
  DSB_HD void second(uint32_t at, uint32_t k, float* memory) const {
    const uint32_t lane = k % lanes;
    const Lane where = lane_of(at, lane);
    const int32_t row = where.row + static_cast<int32_t>(k / lanes);
    if (!where.inside || row >= planes.out_h) return;
    int32_t tap, in_y, first_tap, first_y;
    meet(row, plan.down_y, plan.top, plan.up_y, &tap, &in_y);
    meet(where.row, plan.down_y, plan.top, plan.up_y, &first_tap, &first_y);
    float sums[V] = {};
    for (uint32_t from = static_cast<uint32_t>(in_y - first_y); tap < plan.taps_y; tap += plan.up_y, ++from) {
      const float weight = plan.taps[plan.taps_x + tap];
      DSB_UNROLL
      for (int chunk = 0; chunk < V / kChunk<V>; ++chunk) {
        float v[kChunk<V>];
        get_shared(place(memory, from, chunk, lane), v);
        DSB_UNROLL
        for (int e = 0; e < kChunk<V>; ++e) sums[chunk * kChunk<V> + e] += weight * v[e];
      }
    }
    DSB_UNROLL
    for (int e = 0; e < V; ++e) sums[e] *= plan.gain;
    store<T>(sums, y + ((where.outer * planes.out_h + row) * planes.out_w + where.column) * step() +
                       static_cast<int64_t>(where.g) * V);
  }
};

// Rows of the input that `rows` of the result need, wherever they begin.
int64_t rows_needed(const FilterPlan& plan, int64_t rows) {
  return ((rows - 1) * plan.down_y + plan.taps_y - 1) / plan.up_y + 1;
}

// The largest tile that fits; no rows if none is worth it.
Tile tile_of(const Planes& planes, const FilterPlan& plan, int v) {
  Tile tile = {};
  tile.groups = planes.inner < 8 ? planes.inner : 8;
  tile.columns = (v == 1 ? 64 : 32) / tile.groups;
  for (int64_t rows = kTileRows; rows >= kFewestRows; rows /= 2) {
    const int64_t needed = rows_needed(plan, rows);
    if (needed * tile.lanes() * v > kSharedFloats) continue;
    tile.rows = static_cast<uint32_t>(rows), tile.in_rows = static_cast<uint32_t>(needed);
    break;
  }
  return tile;
}

uint32_t divide_up(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

template <class T, int V>
bool run(const Image& in, const FilterPlan& plan, const void* x, Stream stream, void* y) {
  TileBody<T, V> body = {};
  body.planes = planes_of(in, plan, V);
  body.tile = tile_of(body.planes, plan, V);
  if (body.tile.rows == 0) return false;
  body.tiles_g = divide_up(body.planes.inner, body.tile.groups);
  body.tiles_x = divide_up(static_cast<uint32_t>(plan.width), body.tile.columns);
  body.tiles_y = divide_up(static_cast<uint32_t>(plan.height), body.tile.rows);
  body.lanes = body.tile.lanes();
  body.first_items = body.tile.in_rows * body.lanes, body.second_items = body.tile.rows * body.lanes;
  body.x = static_cast<const T*>(x), body.y = static_cast<T*>(y), body.plan = plan;
  const uint64_t tiles = outers(in) * body.tiles_g * body.tiles_x * body.tiles_y;
  for_each_tile(tiles, static_cast<size_t>(body.first_items) * V, body, stream);
  return true;
}

}  // namespace

bool upfirdn2d_tiles(const Image& in, const FilterPlan& plan, Type type, bool wide, const void* x, Stream stream,
                     void* y) {
  if (!plan.separable || plan.taps_x * plan.taps_y == 1) return false;
  bool done = false;
  with_type(type, [&](auto value) {
    using T = decltype(value);
    done = wide ? run<T, kWide<T>>(in, plan, x, stream, y) : run<T, 1>(in, plan, x, stream, y);
  });
  return done;
}

}  // namespace cuda
}  // namespace dsb
