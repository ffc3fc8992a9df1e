// What leaves the device: products and sums rounded one after the other, as the CPU's.
#include <type_traits>

#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/storage.h"

namespace dsb {
namespace cuda {
namespace {

DSB_HD void count_one(int32_t* number) {
  if (!number) return;
#ifdef __CUDA_ARCH__
  atomicAdd(number, 1);
#else
  ++*number;
#endif
}

DSB_HD int16_t microvolt(float v, float scale, int32_t* not_numbers) {
  float uv = product(v, scale);
  if (uv != uv) {
    count_one(not_numbers);
    return 0;
  }
  uv = uv < -32768.0f ? -32768.0f : uv;
  uv = uv > 32767.0f ? 32767.0f : uv;
  return static_cast<int16_t>(static_cast<int32_t>(uv));
}

DSB_HD uint8_t grey_level(float v, float scale, float offset, int32_t* not_numbers) {
  float level = sum(product(v, scale), offset);
  if (level != level) {
    count_one(not_numbers);
    return 0;
  }
  level = level > 0.0f ? level : 0.0f;
  level = level < 255.0f ? level : 255.0f;
  return static_cast<uint8_t>(static_cast<int32_t>(level));
}

// Index: channel, fastest, then V neighbouring positions: a warp reads whole sectors, and a thread writes 2 V bytes.
template <class T, int V>
struct MicrovoltBody {
  const T* signal;
  uint32_t c, blocks;  // vectors of a lead
  int64_t channel_step, position_step;
  float scale;
  int16_t* out;
  int32_t* not_numbers;

  DSB_HD void operator()(uint32_t k) const {
    const uint32_t channel = k % c, block = k / c % blocks, sample = k / c / blocks;
    const int64_t length = static_cast<int64_t>(blocks) * V, first = static_cast<int64_t>(block) * V;
    const int64_t from = sample * length * c + channel * channel_step + first * position_step;
    float v[V];
    if (position_step == 1) {
      load<V>(signal + from, v);
    } else {
      DSB_UNROLL
      for (int e = 0; e < V; ++e) {
        float one[1];
        load<1>(signal + from + e * position_step, one);
        v[e] = one[0];
      }
    }
    int16_t* to = out + (static_cast<int64_t>(sample) * c + channel) * length + first;
    if constexpr (V == 1) {
      *to = microvolt(v[0], scale, not_numbers);
    } else {
      uint32_t words[V / 2];
      DSB_UNROLL
      for (int e = 0; e < V / 2; ++e) {
        const uint32_t low = static_cast<uint16_t>(microvolt(v[2 * e], scale, not_numbers));
        words[e] = low | static_cast<uint32_t>(microvolt(v[2 * e + 1], scale, not_numbers)) << 16;
      }
      put(words, to);
    }
  }
};

// Channels last stay where they are. Index: sixteen neighbouring values.
template <class T>
struct FlatBody {
  const T* image;
  float scale, offset;
  uint8_t* out;
  int32_t* not_numbers;

  DSB_HD void operator()(uint32_t k) const {
    constexpr int V = kWide<T>;
    uint32_t words[4] = {};
    DSB_UNROLL
    for (int part = 0; part < 16 / V; ++part) {
      float v[V];
      load<V>(image + int64_t{16} * k + part * V, v);
      DSB_UNROLL
      for (int e = 0; e < V; ++e) {
        const int at = part * V + e;
        words[at / 4] |= static_cast<uint32_t>(grey_level(v[e], scale, offset, not_numbers)) << at % 4 * 8;
      }
    }
    put(words, out + int64_t{16} * k);
  }
};

// Planes of three channels. Index: four neighbouring pixels, twelve bytes.
template <class T>
struct ThreePlanesBody {
  const T* image;
  int64_t pixels;
  float scale, offset;
  uint8_t* out;
  int32_t* not_numbers;

  DSB_HD void operator()(uint32_t k) const {
    const uint32_t groups = static_cast<uint32_t>(pixels / 4);
    const T* from = image + k / groups * 3 * pixels + int64_t{4} * (k % groups);
    float v[3][4];
    DSB_UNROLL
    for (int c = 0; c < 3; ++c) load<4>(from + c * pixels, v[c]);
    uint32_t words[3] = {};
    DSB_UNROLL
    for (int at = 0; at < 12; ++at)
      words[at / 4] |= static_cast<uint32_t>(grey_level(v[at % 3][at / 3], scale, offset, not_numbers)) << at % 4 * 8;
    DSB_UNROLL
    for (int w = 0; w < 3; ++w) {
      const uint32_t word[1] = {words[w]};
      put(word, out + int64_t{12} * k + 4 * w);
    }
  }
};

// Any image. Index: a value of the result.
template <class T>
struct ImageBody {
  const T* image;
  uint32_t c;
  int64_t pixels, channel_step, pixel_step;
  float scale, offset;
  uint8_t* out;
  int32_t* not_numbers;

  DSB_HD void operator()(uint32_t k) const {
    const uint32_t channel = k % c;
    const int64_t pixel = k / c % pixels, sample = k / c / pixels;
    float v[1];
    load<1>(image + sample * pixels * c + channel * channel_step + pixel * pixel_step, v);
    out[k] = grey_level(v[0], scale, offset, not_numbers);
  }
};

}  // namespace

void to_microvolt(Array signal, int64_t n, int64_t c, int64_t l, bool channels_last, float scale, Stream stream,
                  int16_t* out, int32_t* not_numbers) {
  if (not_numbers) zero(not_numbers, stream);
  if (n * c * l == 0) return;
  const auto run = [&](auto value, auto width) {
    using T = decltype(value);
    constexpr int V = decltype(width)::value;
    const MicrovoltBody<T, V> body = {static_cast<const T*>(signal.data),
                                      static_cast<uint32_t>(c),
                                      static_cast<uint32_t>(l / V),
                                      channels_last ? 1 : l,
                                      channels_last ? c : 1,
                                      scale,
                                      out,
                                      not_numbers};
    for_each(static_cast<uint64_t>(n * c * (l / V)), body, stream);
  };
  const bool wide = l % 8 == 0 && is_wide(out) && is_wide(signal.data);
  with_type(signal.type, [&](auto value) {
    if (wide) return run(value, std::integral_constant<int, 8>());
    run(value, std::integral_constant<int, 1>());
  });
}

void to_uint8(Array image, const Image& shape, float scale, float offset, Stream stream, uint8_t* out,
              int32_t* not_numbers) {
  if (not_numbers) zero(not_numbers, stream);
  if (shape.size() == 0) return;
  const int64_t pixels = shape.h * shape.w, size = shape.size();
  with_type(image.type, [&](auto value) {
    using T = decltype(value);
    const T* from = static_cast<const T*>(image.data);
    const bool aligned = is_wide(from) && is_wide(out);
    if (aligned && !shape.channels_first && size % 16 == 0)
      return for_each(static_cast<uint64_t>(size / 16), FlatBody<T>{from, scale, offset, out, not_numbers}, stream);
    if (aligned && shape.channels_first && shape.c == 3 && pixels % 4 == 0)
      return for_each(static_cast<uint64_t>(size / 12),
                      ThreePlanesBody<T>{from, pixels, scale, offset, out, not_numbers}, stream);
    const ImageBody<T> body = {from,
                               static_cast<uint32_t>(shape.c),
                               pixels,
                               shape.channels_first ? pixels : 1,
                               shape.channels_first ? 1 : shape.c,
                               scale,
                               offset,
                               out,
                               not_numbers};
    for_each(static_cast<uint64_t>(size), body, stream);
  });
}

}  // namespace cuda
}  // namespace dsb
