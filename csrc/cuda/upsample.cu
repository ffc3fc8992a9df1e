// Twice the size, bilinear: a thread reads the 3 x 3 neighbourhood of a pixel and writes the four that come of it.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/storage.h"

namespace dsb {
namespace cuda {
namespace {

// Index: inner vector, fastest; column; row; outer.
template <class T, int V>
struct UpsampleBody {
  uint32_t inner, h, w;           // inner in vectors
  uint32_t outers, scale_outers;  // scale repeats after so many outers
  bool pairs;                     // two pixels are one aligned access
  const T* x;
  Array scale;
  T* y;

  DSB_HD void operator()(uint32_t k) const {
    const uint32_t g = k % inner, ix = k / inner % w, rest = k / inner / w, iy = rest % h, outer = rest / h;
    const uint32_t ys[3] = {iy ? iy - 1 : 0, iy, iy + 1 < h ? iy + 1 : iy};
    const uint32_t xs[3] = {ix ? ix - 1 : 0, ix, ix + 1 < w ? ix + 1 : ix};
    const int64_t values = static_cast<int64_t>(inner) * V;  // of a pixel
    const T* from = x + static_cast<int64_t>(outer) * h * w * values + static_cast<int64_t>(g) * V;
    float rows[3][2][V];  // each row's two new columns
    DSB_UNROLL
    for (int r = 0; r < 3; ++r) {
      float v[3][V];
      DSB_UNROLL
      for (int c = 0; c < 3; ++c) load<V>(from + (static_cast<int64_t>(ys[r]) * w + xs[c]) * values, v[c]);
      DSB_UNROLL
      for (int e = 0; e < V; ++e) {
        rows[r][0][e] = 0.25f * v[0][e] + 0.75f * v[1][e];
        rows[r][1][e] = 0.75f * v[1][e] + 0.25f * v[2][e];
      }
    }
    float factor[V];
    factors(outer, g, factor);
    T* to = y + static_cast<int64_t>(outer) * h * w * 4 * values + static_cast<int64_t>(g) * V;
    DSB_UNROLL
    for (int r = 0; r < 2; ++r) {
      float made[2 * V];
      DSB_UNROLL
      for (int e = 0; e < 2 * V; ++e) {
        const int column = e / V, lane = e % V;
        const float above = rows[r][column][lane], below = rows[r + 1][column][lane];
        made[e] = (r ? 0.75f * above + 0.25f * below : 0.25f * above + 0.75f * below) * factor[lane];
      }
      write(made, to + (static_cast<int64_t>(2 * iy + r) * 2 * w + 2 * ix) * values, values);
    }
  }

  DSB_HD void factors(uint32_t outer, uint32_t g, float (&to)[V]) const {
    if (scale.data) return load<V>(scale, (static_cast<int64_t>(outer % scale_outers) * inner + g) * V, to);
    DSB_UNROLL
    for (int e = 0; e < V; ++e) to[e] = 1.0f;
  }

  // Two neighbouring pixels, which in a plane of single values are one access.
  DSB_HD void write(const float (&made)[2 * V], T* to, int64_t values) const {
    if (V == 1 && pairs) return store<T>(made, to);
    float one[V], two[V];
    DSB_UNROLL
    for (int e = 0; e < V; ++e) one[e] = made[e], two[e] = made[V + e];
    store<T>(one, to);
    store<T>(two, to + values);
  }
};

template <class T, int V>
void run(const Image& in, const void* x, const Rows& scale, Stream stream, void* y) {
  const int64_t inner = in.channels_first ? 1 : in.c, outers = in.channels_first ? in.n * in.c : in.n;
  const int64_t scale_outers = !scale.shared ? outers : in.channels_first ? in.c : 1;
  const UpsampleBody<T, V> body = {static_cast<uint32_t>(inner / V),
                                   static_cast<uint32_t>(in.h),
                                   static_cast<uint32_t>(in.w),
                                   static_cast<uint32_t>(outers),
                                   static_cast<uint32_t>(scale_outers),
                                   inner == 1 && is_wide(y),
                                   static_cast<const T*>(x),
                                   scale.array,
                                   static_cast<T*>(y)};
  for_each(static_cast<uint64_t>(in.size() / V), body, stream);
}

}  // namespace

void upsample_bilinear2d(const Image& in, Type type, const void* x, const Rows& scale, Stream stream, void* y) {
  if (in.size() == 0) return;
  with_type(type, [&](auto value) {
    using T = decltype(value);
    constexpr int V = kWide<T>;
    if (!in.channels_first && in.c % V == 0 && is_wide(x) && is_wide(y) && is_wide(scale.array.data))
      return run<T, V>(in, x, scale, stream, y);
    run<T, 1>(in, x, scale, stream, y);
  });
}

}  // namespace cuda
}  // namespace dsb
