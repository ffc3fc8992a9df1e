// Transforms of up-sampling convolutions, vectors over channels; docs/image-kernels.md derives them. Along an axis a
// tile of three samples x[3t - 1] to x[3t + 2] gives six results: the even ones are a sample times the middle tap, the
// odd ones two neighbours' sums, F(3,2) with the points 0, 1, -1 and infinity.
#include "kernels/declarations.h"
#include "kernels/strips.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kTile = 3, kPoints = 4, kSide = 5;  // kSide: points and the middle tap, the last
constexpr int64_t kTileInputs = kTile + 1;

inline void at_points(const F32* x, F32* v) {
  v[0] = sub(x[0], x[2]);
  v[1] = add(x[1], x[2]);
  v[2] = sub(x[2], x[1]);
  v[3] = sub(x[3], x[1]);
}

inline void from_points(const F32* m, F32* y) {
  const F32 sum = add(m[1], m[2]);
  y[0] = add(m[0], sum);
  y[1] = sub(m[1], m[2]);
  y[2] = add(sum, m[3]);
}

// Samples that the tiles' middle taps meet, one a place, within an image of `size`.
struct Places {
  int64_t first, end;
  Places(int64_t tile, int64_t tiles, int64_t size) {
    first = tile ? kTile * tile - 1 : 0;
    end = kTile * (tile + tiles) - 1 < size ? kTile * (tile + tiles) - 1 : size;
  }
  bool has(int64_t sample) const { return sample >= first && sample < end; }
};

// A row of tiles from four rows of the strip. v: of this row, for every product of a weight.
void forward_row(const PhaseTiles& t, const float* const* rows, int64_t tile_row, const Places& down,
                 const Places& across, float* v) {
  const int64_t top = kTile * (t.row + tile_row) - 1;
  const int64_t wide = across.end - across.first;
  F32 points[kTileInputs][kPoints];  // [column][point], each column transformed once
  const auto column = [&](int64_t to, int64_t at) {
    F32 x[kTileInputs];
#pragma GCC unroll 4
    for (int64_t k = 0; k < kTileInputs; ++k) x[k] = load_f32(rows[k] + at * kWidth);
    at_points(x, points[to]);
  };
  column(0, 0);
  for (int64_t tile = 0; tile < t.columns; ++tile) {
#pragma GCC unroll 3
    for (int64_t k = 1; k < kTileInputs; ++k) column(k, kTile * tile + k);
    const int64_t slot = tile_row * t.columns + tile;
#pragma GCC unroll 4
    for (int64_t p = 0; p < kPoints; ++p) {
      F32 x[kTileInputs], at[kPoints];
#pragma GCC unroll 4
      for (int64_t k = 0; k < kTileInputs; ++k) x[k] = points[k][p];
      at_points(x, at);
#pragma GCC unroll 4
      for (int64_t q = 0; q < kPoints; ++q) store_f32(at[q], v + t.at[p * kSide + q] + slot * t.step);
    }
#pragma GCC unroll 3
    for (int64_t k = 0; k < kTile; ++k) {
      const int64_t sample = kTile * (t.column + tile) - 1 + k;
      if (!across.has(sample)) continue;
      const int64_t place = tile_row * wide + sample - across.first;
#pragma GCC unroll 4
      for (int64_t p = 0; p < kPoints; ++p) store_f32(points[k][p], v + t.at[p * kSide + kPoints] + place * t.step);
    }
#pragma GCC unroll 4
    for (int64_t p = 0; p < kPoints; ++p) points[0][p] = points[kTile][p];
  }
  for (int64_t k = 0; k < kTile; ++k) {
    if (!down.has(top + k)) continue;
    const int64_t place = top + k - down.first;
    for (int64_t tile = 0; tile < t.columns; ++tile) {
      F32 x[kTileInputs], at[kPoints];
#pragma GCC unroll 4
      for (int64_t j = 0; j < kTileInputs; ++j) x[j] = load_f32(rows[k] + (kTile * tile + j) * kWidth);
      at_points(x, at);
#pragma GCC unroll 4
      for (int64_t q = 0; q < kPoints; ++q)
        store_f32(at[q], v + t.at[kPoints * kSide + q] + (place * t.columns + tile) * t.step);
    }
    const float* from = rows[k] + (across.first - (kTile * t.column - 1)) * kWidth;
    float* to = v + t.at[kPoints * kSide + kPoints] + place * wide * t.step;
    for (int64_t j = 0; j < wide; ++j) store_f32(load_f32(from + j * kWidth), to + j * t.step);
  }
}

// The six rows of a tile from its sums m; `pitch` floats apart, columns kChannelBlock.
inline void inverse_tile(const PhaseTiles& t, const float* m, int64_t tile_row, int64_t tile, const Places& down,
                         const Places& across, int64_t pitch, float* out) {
  const int64_t wide = across.end - across.first;
  const F32 zero = set_f32(0.0f);
  const auto store = [&](F32 value, int64_t row, int64_t column) {
    store_f32(value, out + row * pitch + column * kChannelBlock);
  };
  {  // two taps down: odd rows
    const int64_t slot = tile_row * t.columns + tile;
    F32 half[kTile][kPoints];
#pragma GCC unroll 4
    for (int64_t q = 0; q < kPoints; ++q) {
      F32 x[kPoints], y[kTile];
#pragma GCC unroll 4
      for (int64_t p = 0; p < kPoints; ++p) x[p] = load_f32(m + t.at[p * kSide + q] + slot * t.step);
      from_points(x, y);
#pragma GCC unroll 3
      for (int64_t k = 0; k < kTile; ++k) half[k][q] = y[k];
    }
#pragma GCC unroll 3
    for (int64_t k = 0; k < kTile; ++k) {
      F32 y[kTile];
      from_points(half[k], y);
#pragma GCC unroll 3
      for (int64_t j = 0; j < kTile; ++j) store(y[j], 2 * k + 1, 2 * j + 1);
    }
  }
#pragma GCC unroll 3
  for (int64_t j = 0; j < kTile; ++j) {
    const int64_t sample = kTile * (t.column + tile) - 1 + j;
    F32 y[kTile] = {zero, zero, zero};
    if (across.has(sample)) {
      const int64_t place = tile_row * wide + sample - across.first;
      F32 x[kPoints];
#pragma GCC unroll 4
      for (int64_t p = 0; p < kPoints; ++p) x[p] = load_f32(m + t.at[p * kSide + kPoints] + place * t.step);
      from_points(x, y);
    }
#pragma GCC unroll 3
    for (int64_t k = 0; k < kTile; ++k) store(y[k], 2 * k + 1, 2 * j);
  }
#pragma GCC unroll 3
  for (int64_t k = 0; k < kTile; ++k) {  // the middle tap down: even rows
    const int64_t sample = kTile * (t.row + tile_row) - 1 + k;
    if (!down.has(sample)) {
      for (int64_t j = 0; j < 2 * kTile; ++j) store(zero, 2 * k, j);
      continue;
    }
    const int64_t place = sample - down.first;
    F32 x[kPoints], y[kTile];
#pragma GCC unroll 4
    for (int64_t q = 0; q < kPoints; ++q)
      x[q] = load_f32(m + t.at[kPoints * kSide + q] + (place * t.columns + tile) * t.step);
    from_points(x, y);
    const float* single = m + t.at[kPoints * kSide + kPoints] + place * wide * t.step;
#pragma GCC unroll 3
    for (int64_t j = 0; j < kTile; ++j) {
      store(y[j], 2 * k, 2 * j + 1);
      const int64_t beside = kTile * (t.column + tile) - 1 + j;
      store(across.has(beside) ? load_f32(single + (beside - across.first) * t.step) : zero, 2 * k, 2 * j);
    }
  }
}

struct FilterTaps {
  F32 down[kFilterTaps], across[kFilterTaps];
  explicit FilterTaps(const PhaseFilter& f) {
    for (int64_t t = 0; t < kFilterTaps; ++t) down[t] = set_f32(f.taps_y[t]), across[t] = set_f32(f.taps_x[t]);
  }
};

// R rows of results, down first, then across.
template <int R>
inline void filter_rows(const PhaseFilter& f, const FilterTaps& taps, const float* x, float* to) {
  F32 last[R][kFilterTaps];
  const auto column = [&](int64_t at, int64_t place) {
    F32 in[R + kFilterTaps - 1];
#pragma GCC unroll 5
    for (int64_t k = 0; k < R + kFilterTaps - 1; ++k) in[k] = load_f32(x + at * kChannelBlock + k * f.pitch);
#pragma GCC unroll 2
    for (int64_t r = 0; r < R; ++r) {
      F32 sum = mul(taps.down[0], in[r]);
#pragma GCC unroll 3
      for (int64_t t = 1; t < kFilterTaps; ++t) sum = madd(taps.down[t], in[r + t], sum);
      last[r][place] = sum;
    }
  };
  column(0, 0), column(1, 1), column(2, 2);
  for (int64_t k = 0; k < f.width; ++k) {
    column(k + 3, 3);
#pragma GCC unroll 2
    for (int64_t r = 0; r < R; ++r) {
      F32 sum = mul(taps.across[0], last[r][0]);
#pragma GCC unroll 3
      for (int64_t t = 1; t < kFilterTaps; ++t) sum = madd(taps.across[t], last[r][t], sum);
      store_f32(sum, to + (r * f.width + k) * kWidth);
#pragma GCC unroll 3
      for (int64_t t = 0; t < kFilterTaps - 1; ++t) last[r][t] = last[r][t + 1];
    }
  }
}

}  // namespace

void phase_forward(const PhaseTiles& t, const float* x, const float* factors, float* strip, float* v) {
  const int64_t columns = kTile * t.columns + 1, pitch = columns * kWidth;
  const Places down(t.row, t.rows, t.height), across(t.column, t.columns, t.width);
  const int64_t padded = (t.channels + kChannelBlock - 1) / kChannelBlock * kChannelBlock;
  for (int64_t c = 0; c < padded; c += kWidth) {
    PhaseTiles block = t;
    for (int64_t w = 0; w < kSide * kSide; ++w)
      block.at[w] += c / kChannelBlock * t.block[2 * (w / kSide / kPoints) + w % kSide / kPoints] + c % kChannelBlock;
    // The same rows of the next channels, or the next row.
    const int64_t ahead = c + kWidth < t.channels ? kWidth * t.channel : t.width;
    int64_t gathered = 0;  // rows; of each the last four stay, one place after the other in turn
    for (int64_t r = 0; r < t.rows; ++r) {
      const float* rows[kTileInputs];
      for (; gathered < r * kTile + kTileInputs; ++gathered)
        gather_row(t, x + c * t.channel, t.channels - c, kTile * t.row - 1 + gathered, kTile * t.column - 1, columns,
                   factors ? factors + c : nullptr, ahead, strip + gathered % kTileInputs * pitch);
      for (int64_t k = 0; k < kTileInputs; ++k) rows[k] = strip + (r * kTile + k) % kTileInputs * pitch;
      forward_row(block, rows, r, down, across, v);
    }
  }
}

void phase_inverse(const PhaseTiles& t, const float* m, int64_t pitch, float* out) {
  const Places down(t.row, t.rows, t.height), across(t.column, t.columns, t.width);
  for (int64_t c = 0; c < kChannelBlock; c += kWidth)
    for (int64_t r = 0; r < t.rows; ++r)
      for (int64_t tile = 0; tile < t.columns; ++tile)
        inverse_tile(t, m + c, r, tile, down, across, pitch, out + c + 2 * kTile * (r * pitch + tile * kChannelBlock));
}

void phase_filter(const PhaseFilter& f, const ConvEpilogue& epilogue, const float* x, float* strip, float* out) {
  const FilterTaps taps(f);
  const int64_t fit = f.width < kStripTiles ? kStripTiles / f.width : 1, together = (fit + 1) / 2 * 2;  // rows
  for (int64_t c = 0; c < kChannelBlock && c < f.channels; c += kWidth) {
    const Finish finish(epilogue, c, f.channels - c);
    for (int64_t first = 0; first < f.rows; first += together) {
      const int64_t rows = f.rows - first < together ? f.rows - first : together;
      int64_t r = 0;
      for (; r + 2 <= rows; r += 2)
        filter_rows<2>(f, taps, x + (first + r) * f.pitch + c, strip + r * f.width * kWidth);
      if (r < rows) filter_rows<1>(f, taps, x + (first + r) * f.pitch + c, strip + r * f.width * kWidth);
      scatter(f.plane, epilogue, finish, strip, c, f.channels - c, rows * f.width, (f.row + first) * f.width, out);
    }
  }
}

}  // namespace DSB_VARIANT
}  // namespace dsb
