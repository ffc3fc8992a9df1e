// Transforms of the Winograd convolutions F(2x2,3x3) and F(4x4,3x3), vectors over channels; docs/image-kernels.md
// derives them. Images come and go with their channels apart: a strip of some rows has them side by side.
#include "kernels/declarations.h"
#include "kernels/lane_activation.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kWidth = static_cast<int64_t>(kFloatLanes);

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

// One row of the image, columns [first, first + columns), as vectors over kWidth channels of which `channels` are
// there; what lies outside the image is 0.
inline void gather_row(const WinogradForward& f, const float* x, int64_t channels, int64_t row, int64_t first,
                       int64_t columns, const float* factors, float* to) {
  const F32 zero = set_f32(0.0f);
  if (row < 0 || row >= f.height) {
    for (int64_t c = 0; c < columns; ++c) store_f32(zero, to + c * kWidth);
    return;
  }
  x += row * f.width;
  const int64_t begin = first < 0 ? -first : 0, end = f.width - first < columns ? f.width - first : columns;
  for (int64_t c = 0; c < begin && c < columns; ++c) store_f32(zero, to + c * kWidth);
  for (int64_t c = end > begin ? end : begin; c < columns; ++c) store_f32(zero, to + c * kWidth);
  const int64_t ahead = f.width > kAhead ? f.width : kAhead;  // too many planes for the processor to follow
  F32 factor = zero;
  if (factors) factor = channels < kWidth ? load_first(factors, channels) : load_f32(factors);
  for (int64_t c = begin; c < end; c += kWidth) {
    const float* from = x + first + c;
    const int64_t count = end - c;
    F32 square[kFloatLanes];
    if (channels >= kWidth && count >= kWidth) {
#pragma GCC unroll 16
      for (int64_t k = 0; k < kWidth; ++k) __builtin_prefetch(from + k * f.channel + ahead);
#pragma GCC unroll 16
      for (int64_t k = 0; k < kWidth; ++k) square[k] = load_f32(from + k * f.channel);
    } else {
      for (int64_t k = 0; k < kWidth; ++k) {
        if (k >= channels)
          square[k] = zero;
        else
          square[k] = count >= kWidth ? load_f32(from + k * f.channel) : load_first(from + k * f.channel, count);
      }
    }
    transpose_f32(square);
    if (factors) {
#pragma GCC unroll 16
      for (int64_t k = 0; k < kWidth; ++k) square[k] = mul(square[k], factor);
    }
    float* vectors = to + c * kWidth;
    if (count >= kWidth) {
#pragma GCC unroll 16
      for (int64_t k = 0; k < kWidth; ++k) store_f32(square[k], vectors + k * kWidth);
    } else {
      for (int64_t k = 0; k < count; ++k) store_f32(square[k], vectors + k * kWidth);
    }
  }
}

inline void put(F32 value, float* to) { store_f32(value, to); }
inline void put(F32 value, bfloat16* to) { store_bf16(value, to); }

// A row of tiles from the S + 2 rows of the strip.
template <int S, typename V>
inline void forward_row(const float* const* rows, int64_t tiles, int64_t v_point, V* v) {
  constexpr int N = S + 2;
  F32 down[N][N];  // [column][point], each column transformed once
  const auto column = [&](int to, int64_t at) {
    F32 x[N];
#pragma GCC unroll 6
    for (int k = 0; k < N; ++k) x[k] = load_f32(rows[k] + at * kWidth);
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

template <int S, typename V>
void forward(const WinogradForward& f, const float* x, const float* factors, float* strip, V* v) {
  constexpr int N = S + 2;
  const int64_t columns = f.columns * S + 2, pitch = columns * kWidth;
  const int64_t padded = (f.channels + kChannelBlock - 1) / kChannelBlock * kChannelBlock;
  for (int64_t c = 0; c < padded; c += kWidth) {
    V* to = v + c / kChannelBlock * f.v_block + c % kChannelBlock;
    const float* from = x + c * f.channel;
    int64_t gathered = 0;  // rows; of each the last N stay, one place after the other in turn
    for (int64_t tile_row = 0; tile_row < f.rows; ++tile_row) {
      const float* rows[N];
      for (; gathered < tile_row * S + N; ++gathered)
        gather_row(f, from, f.channels - c, f.top + gathered, f.left, columns, factors ? factors + c : nullptr,
                   strip + gathered % N * pitch);
      for (int k = 0; k < N; ++k) rows[k] = strip + (tile_row * S + k) % N * pitch;
      forward_row<S>(rows, f.columns, f.v_point, to + tile_row * f.columns * kChannelBlock);
    }
  }
}

// What is done to a channel's sums at `count` neighbouring positions, at most a vector of them.
struct Finish {
  const ConvEpilogue& e;
  bool in_lanes;  // the activation is one that is taken here, not by bias_act
  F32 slope, gain, least, most;

  explicit Finish(const ConvEpilogue& given) : e(given) {
    const ActivationOptions& a = e.activation;
    in_lanes = a.kind == Activation::linear || a.kind == Activation::relu || a.kind == Activation::lrelu;
    slope = set_f32(a.kind == Activation::lrelu ? a.alpha : 0.0f), gain = set_f32(a.gain);
    most = set_f32(a.clamp), least = set_f32(-a.clamp);
  }

  F32 operator()(F32 y, int64_t channel, const F32* noise) const {
    const F32 factor = set_f32(e.factor ? e.factor[channel] : 1.0f);
    if (noise)
      y = madd(y, factor, e.noise_gain ? mul(*noise, set_f32(e.noise_gain[channel])) : *noise);
    else
      y = mul(y, factor);
    if (!in_lanes) return y;
    y = add(y, set_f32(e.bias ? e.bias[channel] : 0.0f));
    if (e.activation.kind == Activation::relu) y = relu(y);
    if (e.activation.kind == Activation::lrelu) y = lrelu(y, slope);
    y = mul(y, gain);
    if (e.activation.clamp >= 0.0f) {
      y = choose_by_sign(sub(y, least), y, least);
      y = choose_by_sign(sub(most, y), y, most);
    }
    return y;
  }
};

inline F32 load_some(const float* p, int64_t count) { return count < kWidth ? load_first(p, count) : load_f32(p); }
inline void store_some(F32 v, int64_t count, float* p) {
  if (count < kWidth)
    store_first(v, count, p);
  else
    store_f32(v, p);
}

// `count` neighbouring positions of a strip, `at` being the first one's place in every plane of the result.
inline void scatter(const WinogradInverse& v, const Finish& finish, const float* strip, int64_t first_channel,
                    int64_t channels, int64_t count, int64_t at, float* out) {
  const ConvEpilogue& e = finish.e;
  out += first_channel * v.plane + at;
  const float* residual = e.residual ? e.residual + first_channel * v.plane + at : nullptr;
  const bool early = residual && finish.in_lanes;
  for (int64_t done = 0; done < count; done += kWidth) {
    F32 square[kFloatLanes], noise = set_f32(0.0f);
#pragma GCC unroll 16
    for (int64_t k = 0; k < kWidth; ++k) square[k] = load_f32(strip + (done + k) * kWidth);
    transpose_f32(square);
    const int64_t left = count - done;
    if (e.noise) noise = load_some(e.noise + at + done, left);
#pragma GCC unroll 16
    for (int64_t k = 0; k < kWidth; ++k) {
      if (k >= channels) break;
      F32 y = finish(square[k], first_channel + k, e.noise ? &noise : nullptr);
      if (early) y = add(y, load_some(residual + k * v.plane + done, left));
      store_some(y, left, out + k * v.plane + done);
    }
  }
  if (finish.in_lanes) return;
  const float none = 0.0f;
  for (int64_t k = 0; k < channels && k < kWidth; ++k) {
    float* y = out + k * v.plane;
    bias_act(y, static_cast<size_t>(count), e.bias ? e.bias + first_channel + k : &none, 0, e.activation, y);
    if (residual) scale_add(y, static_cast<size_t>(count), 1.0f, residual + k * v.plane, y);
  }
}

// Tile outputs to the strip, of which `columns` are there.
template <int S>
inline void inverse_tile(const float* m, int64_t m_point, int64_t columns, int64_t pitch, float* strip) {
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
    if (columns >= S) {
#pragma GCC unroll 4
      for (int j = 0; j < S; ++j) store_f32(y[j], strip + k * pitch + j * kWidth);
    } else {
      for (int j = 0; j < columns; ++j) store_f32(y[j], strip + k * pitch + j * kWidth);
    }
  }
}

template <int S>
void inverse(const WinogradInverse& v, const ConvEpilogue& epilogue, const float* m, float* strip, float* out) {
  const Finish finish(epilogue);
  const int64_t wanted = v.columns * S, columns = v.width - v.left < wanted ? v.width - v.left : wanted;
  const int64_t together = v.columns < kStripTiles ? kStripTiles / v.columns : 1;  // rows of tiles
  for (int64_t c = 0; c < v.channels; c += kWidth)
    for (int64_t begin = 0; begin < v.rows; begin += together) {
      const int64_t end = begin + together < v.rows ? begin + together : v.rows;
      for (int64_t r = begin; r < end; ++r)
        for (int64_t t = 0; t < v.columns; ++t)
          inverse_tile<S>(m + c + (r * v.columns + t) * v.m_tile, v.m_point, columns - t * S, columns * kWidth,
                          strip + ((r - begin) * S * columns + t * S) * kWidth);
      const int64_t top = v.top + begin * S;
      const int64_t rows = v.height - top < (end - begin) * S ? v.height - top : (end - begin) * S;
      if (columns == v.width) {  // whole rows follow one another in the result too
        scatter(v, finish, strip, c, v.channels - c, rows * columns, top * v.width, out);
        continue;
      }
      for (int64_t y = 0; y < rows; ++y)
        scatter(v, finish, strip + y * columns * kWidth, c, v.channels - c, columns, (top + y) * v.width + v.left, out);
    }
}

}  // namespace

void winograd_forward(const WinogradForward& f, const float* x, const float* factors, float* strip, float* v) {
  f.outputs == 2 ? forward<2>(f, x, factors, strip, v) : forward<4>(f, x, factors, strip, v);
}

void winograd_forward_bf16(const WinogradForward& f, const float* x, const float* factors, float* strip, bfloat16* v) {
  f.outputs == 2 ? forward<2>(f, x, factors, strip, v) : forward<4>(f, x, factors, strip, v);
}

void winograd_inverse(const WinogradInverse& v, const ConvEpilogue& epilogue, const float* m, float* strip,
                      float* out) {
  v.outputs == 2 ? inverse<2>(v, epilogue, m, strip, out) : inverse<4>(v, epilogue, m, strip, out);
}

}  // namespace DSB_VARIANT
}  // namespace dsb
