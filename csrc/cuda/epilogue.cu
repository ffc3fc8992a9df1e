// What surrounds a convolution in one pass over its result: bound by memory, so a thread moves 16 bytes at a time.
#include "cuda/activation.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/layout.h"

namespace dsb {
namespace cuda {
namespace {

// The V per-channel values of a vector: one for all of it where it lies along pixels.
template <int V, Along along>
DSB_HD void load_channels(const Array& from, int64_t at, float (&to)[V]) {
  if constexpr (along == Along::channels) return load<V>(from, at, to);
  const float value = load_one(from, at);
  DSB_UNROLL
  for (int k = 0; k < V; ++k) to[k] = value;
}

template <int V, Along along>
DSB_HD void load_plane(const Array& from, int64_t at, float (&to)[V]) {
  if constexpr (along == Along::pixels) return load<V>(from, at, to);
  const float value = load_one(from, at);
  DSB_UNROLL
  for (int k = 0; k < V; ++k) to[k] = value;
}

template <class T, int V, Along along>
struct EpilogueBody {
  Epilogue what;
  Layout layout;
  int64_t sample, pixels;  // values of a sample, and of a plane
  T *y, *scaled;

  DSB_HD int64_t row(const Rows& rows, uint32_t n, int64_t size) const { return rows.shared ? 0 : n * size; }

  DSB_HD void operator()(uint32_t vector) const {
    const Place at = layout.template place<V, along>(vector);
    const int64_t first = static_cast<int64_t>(vector) * V, inside = first - at.n * sample, c = what.shape.c;
    float v[V], other[V], weight[V], residual[V] = {};
    load<V>(static_cast<const T*>(what.x.array.data) + row(what.x, at.n, sample) + inside, v);
    if (what.residual.array.data)  // here, that both wait for memory together
      load<V>(static_cast<const T*>(what.residual.array.data) + row(what.residual, at.n, sample) + inside, residual);
    if (what.demodulation.array.data) {
      load_channels<V, along>(what.demodulation.array, row(what.demodulation, at.n, c) + at.c, other);
      DSB_UNROLL
      for (int k = 0; k < V; ++k) v[k] *= other[k];
    }
    if (what.plane.array.data) {
      load_plane<V, along>(what.plane.array, row(what.plane, at.n, pixels) + at.pixel, other);
      weights(at.c, weight);
      DSB_UNROLL
      for (int k = 0; k < V; ++k) v[k] += other[k] * weight[k];
    }
    if (what.bias.data) {
      load_channels<V, along>(what.bias, at.c, other);
      DSB_UNROLL
      for (int k = 0; k < V; ++k) v[k] += other[k];
    }
    DSB_UNROLL
    for (int k = 0; k < V; ++k) v[k] = finished(v[k], what.activation);
    if (what.residual.array.data) {
      DSB_UNROLL
      for (int k = 0; k < V; ++k) v[k] += residual[k];
    }
    if (y) store<T>(v, y + first);
    if (scaled) {
      load_channels<V, along>(what.scale.array, row(what.scale, at.n, c) + at.c, other);
      DSB_UNROLL
      for (int k = 0; k < V; ++k) v[k] *= other[k];
      store<T>(v, scaled + first);
    }
  }

  DSB_HD void weights(uint32_t channel, float (&to)[V]) const {
    if (what.plane_weight.data && !what.one_plane_weight)
      return load_channels<V, along>(what.plane_weight, channel, to);
    const float value = what.plane_weight.data ? load_one(what.plane_weight, 0) : 1.0f;
    DSB_UNROLL
    for (int k = 0; k < V; ++k) to[k] = value;
  }
};

template <class T, int V, Along along>
void run(const Epilogue& what, Stream stream, void* y, void* scaled) {
  const int64_t pixels = what.shape.h * what.shape.w;
  const EpilogueBody<T, V, along> body = {what,   Layout(what.shape, V, along), pixels * what.shape.c,
                                          pixels, static_cast<T*>(y),           static_cast<T*>(scaled)};
  for_each(static_cast<uint64_t>(what.shape.size() / V), body, stream);
}

bool all_wide(const Epilogue& what, const void* y, const void* scaled) {
  for (const Array* array : {&what.x.array, &what.residual.array, &what.demodulation.array, &what.scale.array,
                             &what.plane.array, &what.plane_weight, &what.bias})
    if (!is_wide(array->data)) return false;
  return is_wide(y) && is_wide(scaled);
}

}  // namespace

void epilogue(const Epilogue& what, Stream stream, void* y, void* scaled) {
  if (what.shape.size() == 0) return;
  with_type(what.type, [&](auto value) {
    using T = decltype(value);
    constexpr int V = kWide<T>;
    const bool wide = all_wide(what, y, scaled);
    if (wide && fits_channels(what.shape, V)) return run<T, V, Along::channels>(what, stream, y, scaled);
    if (wide && fits_pixels(what.shape, V)) return run<T, V, Along::pixels>(what, stream, y, scaled);
    run<T, 1, Along::channels>(what, stream, y, scaled);
  });
}

}  // namespace cuda
}  // namespace dsb
