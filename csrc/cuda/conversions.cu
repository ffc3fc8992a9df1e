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

// Index: four neighbouring pixels, all channels.
template <class T>
struct ImageBody {
  const T* image;
  uint32_t c, groups;  // groups of pixels in a sample
  int64_t pixels, channel_step, pixel_step;
  float scale, offset;
  bool words;  // four pixels of three channels can be written as three words
  uint8_t* out;
  int32_t* not_numbers;

  DSB_HD void operator()(uint32_t k) const {
    const uint32_t sample = k / groups;
    const int64_t first = static_cast<int64_t>(k % groups) * 4, from = sample * pixels * c, to = from + first * c;
    const int64_t here = pixels - first < 4 ? pixels - first : 4;
    if (words) return three(from + first * pixel_step, out + to);
    for (int64_t p = 0; p < here; ++p)
      for (uint32_t channel = 0; channel < c; ++channel)
        out[to + p * c + channel] = level(from + channel * channel_step + (first + p) * pixel_step);
  }

  DSB_HD uint8_t level(int64_t at) const {
    float v[1];
    load<1>(image + at, v);
    return grey_level(v[0], scale, offset, not_numbers);
  }

  // Twelve bytes in three writes.
  DSB_HD void three(int64_t from, uint8_t* to) const {
    DSB_UNROLL
    for (int w = 0; w < 3; ++w) {
      uint32_t words[1] = {};
      DSB_UNROLL
      for (int e = 0; e < 4; ++e) {
        const int byte = 4 * w + e;
        words[0] |= static_cast<uint32_t>(level(from + byte % 3 * channel_step + byte / 3 * pixel_step)) << 8 * e;
      }
      put(words, to + 4 * w);
    }
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
  const int64_t pixels = shape.h * shape.w, groups = (pixels + 3) / 4;
  with_type(image.type, [&](auto value) {
    using T = decltype(value);
    const ImageBody<T> body = {static_cast<const T*>(image.data),
                               static_cast<uint32_t>(shape.c),
                               static_cast<uint32_t>(groups),
                               pixels,
                               shape.channels_first ? pixels : 1,
                               shape.channels_first ? 1 : shape.c,
                               scale,
                               offset,
                               shape.c == 3 && pixels % 4 == 0 && is_wide(out),
                               out,
                               not_numbers};
    for_each(static_cast<uint64_t>(shape.n * groups), body, stream);
  });
}

}  // namespace cuda
}  // namespace dsb
