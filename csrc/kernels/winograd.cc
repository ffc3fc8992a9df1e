// Transforms of the Winograd convolutions F(2x2,3x3) and F(4x4,3x3), vectors over channels; docs/image-kernels.md
// derives them.
#include "kernels/declarations.h"
#include "kernels/strips.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

inline F32 plus_times(F32 c, float factor, F32 a) { return madd(set_f32(factor), a, c); }

// F(4,3) has the points 0, 3/4, -3/4, 3/2, -3/2 and infinity: half the error of 1 and 2.
constexpr float kNear = 0.75f, kFar = 1.5f, kNear2 = kNear * kNear, kFar2 = kFar * kFar;

// S + 2 neighbouring inputs at as many points.
template <int S>
inline void at_points(const F32* x, F32* v) {
  if (S == 2) {
    v[0] = sub(x[2], x[0]);
    v[1] = add(x[1], x[2]);
    v[2] = sub(x[2], x[1]);
    v[3] = sub(x[3], x[1]);
    return;
  }
  v[0] = plus_times(plus_times(x[4], kNear2 * kFar2, x[0]), -kNear2 - kFar2, x[2]);
  F32 even = plus_times(x[4], -kFar2, x[2]), odd = plus_times(x[3], -kFar2, x[1]);
  v[1] = plus_times(even, kNear, odd);
  v[2] = plus_times(even, -kNear, odd);
  even = plus_times(x[4], -kNear2, x[2]), odd = plus_times(x[3], -kNear2, x[1]);
  v[3] = plus_times(even, kFar, odd);
  v[4] = plus_times(even, -kFar, odd);
  v[5] = plus_times(plus_times(x[5], kNear2 * kFar2, x[1]), -kNear2 - kFar2, x[3]);
}

// S outputs from the sums at the points.
template <int S>
inline void from_points(const F32* m, F32* y) {
  const F32 s = add(m[1], m[2]), d = sub(m[1], m[2]);
  if (S == 2) {
    y[0] = add(m[0], s);
    y[1] = add(d, m[3]);
    return;
  }
  const F32 s2 = add(m[3], m[4]), d2 = sub(m[3], m[4]);
  y[0] = add(add(m[0], s), s2);
  y[1] = plus_times(mul(set_f32(kFar), d2), kNear, d);
  y[2] = plus_times(mul(set_f32(kFar2), s2), kNear2, s);
  y[3] = plus_times(plus_times(m[5], kFar2 * kFar, d2), kNear2 * kNear, d);
}

constexpr int64_t kAhead = 128;
constexpr int64_t kColumnsAhead = 8;

inline void put(F32 value, float* to) { store_f32(value, to); }
inline void put(F32 value, bfloat16* to) { store_bf16(value, to); }

// A row of tiles from S + 2 rows, of which `load` has the vector at a column.
template <int S, typename Load, typename V>
inline void forward_row(const float* const* rows, const Load& load, int64_t tiles, int64_t v_point, V* v) {
  constexpr int N = S + 2;
  F32 down[N][N];  // [column][point], each column transformed once
  const auto column = [&](int to, int64_t at) {
    F32 x[N];
#pragma GCC unroll 6
    for (int k = 0; k < N; ++k) x[k] = load(rows[k], at);
    at_points<S>(x, down[to]);
  };
  column(0, 0);
  column(1, 1);
  for (int64_t tile = 0; tile < tiles; ++tile, v += kChannelBlock) {
#pragma GCC unroll 4
    for (int k = 2; k < N; ++k) column(k, tile * S + k);
#pragma GCC unroll 6
    for (int p = 0; p < N; ++p) {
      F32 x[N], out[N];
#pragma GCC unroll 6
      for (int k = 0; k < N; ++k) x[k] = down[k][p];
      at_points<S>(x, out);
#pragma GCC unroll 6
      for (int q = 0; q < N; ++q) put(out[q], v + (p * N + q) * v_point);
    }
#pragma GCC unroll 6
    for (int p = 0; p < N; ++p) down[0][p] = down[S][p], down[1][p] = down[S + 1][p];
  }
}

// Rows of the image's bilinear_up2, with its order of products and sums, as gather_row has them of the image.
class EnlargedRows {
 public:
  // memory: for three rows of half the columns and three more, vectors.
  EnlargedRows(const WinogradForward& f, const float* x, int64_t channels, const float* factors, int64_t columns,
               float* memory)
      : f_(f), x_(x), channels_(channels), factors_(factors), columns_(columns), memory_(memory) {
    begin_ = f.left < 0 ? -f.left : 0;
    end_ = 2 * f.width - f.left < columns ? 2 * f.width - f.left : columns;
    const int64_t left = (f.left + begin_) / 2, right = (f.left + end_ - 1) / 2;
    first_ = left - 1, count_ = right - left + 3;  // columns of the image, one beyond either side
  }

  void row(int64_t y, float* to) {
    const F32 zero = set_f32(0.0f);
    if (y < 0 || y >= 2 * f_.height || begin_ >= end_) {
      for (int64_t c = 0; c < columns_; ++c) store_f32(zero, to + c * kWidth);
      return;
    }
    for (int64_t c = 0; c < begin_; ++c) store_f32(zero, to + c * kWidth);
    for (int64_t c = end_; c < columns_; ++c) store_f32(zero, to + c * kWidth);
    const int64_t near = y / 2, beside = y % 2 ? near + 1 : near - 1;
    const int64_t far = beside < 0 ? 0 : beside < f_.height ? beside : f_.height - 1;
    const float *near_row = source(near), *far_row = source(far);
    float* blend = memory_ + 2 * count_ * kWidth;
    for (int64_t c = 0; c < count_; ++c)
      store_f32(bilinear(load_f32(near_row + c * kWidth), load_f32(far_row + c * kWidth)), blend + c * kWidth);
    F32 factor = set_f32(1.0f);
    if (factors_) factor = channels_ < kWidth ? load_first(factors_, channels_) : load_f32(factors_);
    const auto put = [&](int64_t c, F32 near_value, F32 far_value) {
      const F32 value = bilinear(near_value, far_value);
      store_f32(factors_ ? mul(value, factor) : value, to + c * kWidth);
    };
    // Of the image's column k of the blend, columns 2 k and 2 k + 1 are made.
    const float* blended = blend + ((f_.left + begin_) / 2 - first_) * kWidth;
    int64_t c = begin_;
    if ((f_.left + c) % 2) {
      put(c++, load_f32(blended), load_f32(blended + kWidth));
      blended += kWidth;
    }
    for (; c + 1 < end_; c += 2, blended += kWidth) {
      const F32 middle = load_f32(blended);
      put(c, middle, load_f32(blended - kWidth));
      put(c + 1, middle, load_f32(blended + kWidth));
    }
    if (c < end_) put(c, load_f32(blended), load_f32(blended - kWidth));
  }

 private:
  static F32 bilinear(F32 near, F32 far) { return madd(set_f32(0.75f), near, mul(set_f32(0.25f), far)); }

  // Row `row` of the image, columns beyond its sides as those at them; of two rows each has its place.
  const float* source(int64_t row) {
    float* to = memory_ + row % 2 * count_ * kWidth;
    if (there_[row % 2] == row) return to;
    there_[row % 2] = row;
    gather_row(f_, x_, channels_, row, first_, count_, nullptr, f_.width > kAhead ? f_.width : kAhead, to);
    if (first_ < 0) store_f32(load_f32(to + kWidth), to);
    float* last = to + (count_ - 1) * kWidth;
    if (first_ + count_ > f_.width) store_f32(load_f32(last - kWidth), last);
    return to;
  }

  const WinogradForward& f_;
  const float* x_;
  int64_t channels_;
  const float* factors_;
  int64_t columns_, begin_, end_, first_, count_;
  float* memory_;
  int64_t there_[2] = {-1, -1};
};

inline int64_t padded_channels(int64_t channels) {
  return (channels + kChannelBlock - 1) / kChannelBlock * kChannelBlock;
}

template <int S, typename V>
void forward(const WinogradForward& f, const float* x, const float* factors, float* strip, V* v) {
  constexpr int N = S + 2;
  const int64_t columns = f.columns * S + 2, pitch = columns * kWidth;
  for (int64_t c = 0; c < padded_channels(f.channels); c += kWidth) {
    V* to = v + c / kChannelBlock * f.v_block + c % kChannelBlock;
    const float* from = x + c * f.channel;
    const float* here = factors ? factors + c : nullptr;
    EnlargedRows enlarged(f, from, f.channels - c, here, columns, strip + N * pitch);
    int64_t gathered = 0;  // rows; of each the last N stay, one place after the other in turn
    for (int64_t tile_row = 0; tile_row < f.rows; ++tile_row) {
      const float* rows[N];
      for (; gathered < tile_row * S + N; ++gathered) {
        float* to = strip + gathered % N * pitch;
        if (f.enlarged)
          enlarged.row(f.top + gathered, to);
        else
          gather_row(f, from, f.channels - c, f.top + gathered, f.left, columns, here,
                     f.width > kAhead ? f.width : kAhead, to);
      }
      for (int k = 0; k < N; ++k) rows[k] = strip + (tile_row * S + k) % N * pitch;
      const auto load = [](const float* row, int64_t at) { return load_f32(row + at * kWidth); };
      forward_row<S>(rows, load, f.columns, f.v_point, to + tile_row * f.columns * kChannelBlock);
    }
  }
}

// Of a blocked image, whose rows need no strip.
template <int S, typename V>
void forward_blocked(const WinogradForward& f, const float* x, const float* factors, V* v) {
  const int64_t pitch = (f.width + 2) * kChannelBlock;
  const float* first = x + (f.top + 1) * pitch + (f.left + 1) * kChannelBlock;
  for (int64_t c = 0; c < padded_channels(f.channels); c += kWidth) {
    V* to = v + c / kChannelBlock * f.v_block + c % kChannelBlock;
    const float* from = first + c / kChannelBlock * f.channel + c % kChannelBlock;
    F32 factor = set_f32(1.0f);
    if (factors) factor = f.channels - c < kWidth ? load_first(factors + c, f.channels - c) : load_f32(factors + c);
    const auto load = [&](const float* row, int64_t at) {
      __builtin_prefetch(row + (at + kColumnsAhead) * kChannelBlock);
      return mul(load_f32(row + at * kChannelBlock), factor);
    };
    for (int64_t tile_row = 0; tile_row < f.rows; ++tile_row) {
      const float* rows[S + 2];
      for (int k = 0; k < S + 2; ++k) rows[k] = from + (tile_row * S + k) * pitch;
      forward_row<S>(rows, load, f.columns, f.v_point, to + tile_row * f.columns * kChannelBlock);
    }
  }
}

// Tile outputs, of which `put` takes a row.
template <int S, typename Put>
inline void inverse_tile(const float* m, int64_t m_point, const Put& put) {
  constexpr int N = S + 2;
  F32 down[S][N];
#pragma GCC unroll 6
  for (int q = 0; q < N; ++q) {
    F32 x[N], y[S];
#pragma GCC unroll 6
    for (int p = 0; p < N; ++p) x[p] = load_f32(m + (p * N + q) * m_point);
    from_points<S>(x, y);
#pragma GCC unroll 4
    for (int k = 0; k < S; ++k) down[k][q] = y[k];
  }
#pragma GCC unroll 4
  for (int k = 0; k < S; ++k) {
    F32 y[S];
    from_points<S>(down[k], y);
    put(k, y);
  }
}

// The first `columns` of a row of outputs.
template <int S>
inline void put_row(const F32 (&y)[S], int64_t columns, float* to) {
  if (columns >= S) {
#pragma GCC unroll 4
    for (int j = 0; j < S; ++j) store_f32(y[j], to + j * kWidth);
  } else {
    for (int j = 0; j < columns; ++j) store_f32(y[j], to + j * kWidth);
  }
}

// Zeros around what these tiles have of a blocked image.
template <int S>
void clear_border(const WinogradInverse& v, float* out) {
  const int64_t pitch = (v.width + 2) * kChannelBlock, rows = v.rows * S, columns = v.columns * S;
  const bool first = v.left == 0, last = v.left + columns >= v.width;
  const F32 zero = set_f32(0.0f);
  const auto clear_row = [&](int64_t row) {
    for (int64_t x = first ? -1 : 0; x < columns + (last ? 1 : 0); ++x)
      store_f32(zero, out + row * pitch + x * kChannelBlock);
  };
  if (v.top == 0) clear_row(-1);
  if (v.top + rows >= v.height) clear_row(rows);
  for (int64_t y = 0; y < rows; ++y) {
    if (first) store_f32(zero, out + y * pitch - kChannelBlock);
    if (last) store_f32(zero, out + y * pitch + columns * kChannelBlock);
  }
}

template <int S>
void inverse_blocked(const WinogradInverse& v, const ConvEpilogue& epilogue, const float* m, float* out) {
  const int64_t pitch = (v.width + 2) * kChannelBlock;
  out += (v.top + 1) * pitch + (v.left + 1) * kChannelBlock;
  for (int64_t c = 0; c < padded_channels(v.channels); c += kWidth) {
    const Finish finish(epilogue, c, v.channels - c);
    float* to = out + c / kChannelBlock * v.plane + c % kChannelBlock;
    clear_border<S>(v, to);
    for (int64_t r = 0; r < v.rows; ++r)
      for (int64_t t = 0; t < v.columns; ++t) {
        const float* noise = epilogue.noise ? epilogue.noise + (v.top + r * S) * v.width + v.left + t * S : nullptr;
        inverse_tile<S>(m + c + (r * v.columns + t) * v.m_tile, v.m_point, [&](int k, F32(&y)[S]) {
          finish(y, noise ? noise + k * v.width : nullptr);
#pragma GCC unroll 4
          for (int j = 0; j < S; ++j) store_f32(y[j], to + (r * S + k) * pitch + (t * S + j) * kChannelBlock);
        });
      }
  }
}

// As scatter, of results that only make colours; their sums wait in out for the next channels.
inline void add_colours(const WinogradInverse& v, const ConvEpilogue& e, const Finish& finish, const float* strip,
                        int64_t channel, int64_t count, int64_t at, float* out) {
  const Colours& colours = v.colours;
  const int64_t channels = v.channels - channel < kWidth ? v.channels - channel : kWidth;
  const F32 styles =
      channels < kWidth ? load_first(colours.styles + channel, channels) : load_f32(colours.styles + channel);
  for (int64_t done = 0; done < count; done += kWidth) {
    F32 square[kFloatLanes];
    const int64_t left = count - done;
    finished(finish, strip + done * kWidth, e.noise ? e.noise + at + done : nullptr, left, square);
#pragma GCC unroll 16
    for (int64_t k = 0; k < kWidth; ++k) square[k] = mul(square[k], styles);
    transpose_f32(square);
    for (int64_t colour = 0; colour < colours.count; ++colour) {
      float* to = out + colour * v.plane + at + done;
      const float* weight = colours.weight + colour * v.channels + channel;
      F32 sum = channel ? load_some(to, left) : set_f32(0.0f);
#pragma GCC unroll 16
      for (int64_t k = 0; k < kWidth; ++k) {
        if (k >= channels) break;
        sum = madd(set_f32(weight[k]), square[k], sum);
      }
      if (colours.residual && channel + kWidth >= v.channels)
        sum = add(sum, load_some(colours.residual + colour * v.plane + at + done, left));
      store_some(sum, left, to);
    }
  }
}

template <int S>
void inverse(const WinogradInverse& v, const ConvEpilogue& epilogue, const float* m, float* strip, float* out) {
  const int64_t wanted = v.columns * S, columns = v.width - v.left < wanted ? v.width - v.left : wanted;
  const int64_t together = v.columns < kStripTiles ? kStripTiles / v.columns : 1;  // rows of tiles
  for (int64_t c = 0; c < v.channels; c += kWidth) {
    const Finish finish(epilogue, c, v.channels - c);
    for (int64_t begin = 0; begin < v.rows; begin += together) {
      const int64_t end = begin + together < v.rows ? begin + together : v.rows;
      for (int64_t r = begin; r < end; ++r)
        for (int64_t t = 0; t < v.columns; ++t)
          inverse_tile<S>(m + c + (r * v.columns + t) * v.m_tile, v.m_point, [&](int k, F32(&y)[S]) {
            put_row(y, columns - t * S, strip + (((r - begin) * S + k) * columns + t * S) * kWidth);
          });
      const int64_t top = v.top + begin * S;
      const int64_t rows = v.height - top < (end - begin) * S ? v.height - top : (end - begin) * S;
      const auto put = [&](const float* from, int64_t count, int64_t at) {
        if (v.colours.count)
          add_colours(v, epilogue, finish, from, c, count, at, out);
        else
          scatter(v.plane, epilogue, finish, from, c, v.channels - c, count, at, out);
      };
      if (columns == v.width) {  // whole rows follow one another in the result too
        put(strip, rows * columns, top * v.width);
        continue;
      }
      for (int64_t y = 0; y < rows; ++y) put(strip + y * columns * kWidth, columns, (top + y) * v.width + v.left);
    }
  }
}

template <typename V>
void forward(const WinogradForward& f, const float* x, const float* factors, float* strip, V* v) {
  if (f.blocked)
    f.outputs == 2 ? forward_blocked<2>(f, x, factors, v) : forward_blocked<4>(f, x, factors, v);
  else
    f.outputs == 2 ? forward<2>(f, x, factors, strip, v) : forward<4>(f, x, factors, strip, v);
}

}  // namespace

void winograd_forward(const WinogradForward& f, const float* x, const float* factors, float* strip, float* v) {
  forward(f, x, factors, strip, v);
}

void winograd_forward_bf16(const WinogradForward& f, const float* x, const float* factors, float* strip, bfloat16* v) {
  forward(f, x, factors, strip, v);
}

void winograd_inverse(const WinogradInverse& v, const ConvEpilogue& epilogue, const float* m, float* strip,
                      float* out) {
  if (v.blocked)
    v.outputs == 2 ? inverse_blocked<2>(v, epilogue, m, out) : inverse_blocked<4>(v, epilogue, m, out);
  else
    v.outputs == 2 ? inverse<2>(v, epilogue, m, strip, out) : inverse<4>(v, epilogue, m, strip, out);
}

}  // namespace DSB_VARIANT
}  // namespace dsb
