// Where a vector of V neighbouring values lies in an image batch. Both layouts are [outer, pixels, inner]: outer N and
// inner C, or outer N * C and inner 1. The vector runs along the channels of a pixel, or along the pixels of a channel.
#pragma once

#include "cuda/storage.h"

namespace dsb {
namespace cuda {

enum class Along { channels, pixels };

struct Place {
  uint32_t n, c, pixel;  // of the vector's first value
};

struct Layout {
  uint32_t fast, slow, per_image;  // vectors along the inner axis, vectors along the pixels, outers of an image

  Layout(const Image& image, int v, Along along) {
    const int64_t pixels = image.h * image.w, inner = image.channels_first ? 1 : image.c;
    fast = static_cast<uint32_t>(along == Along::channels ? inner / v : inner);
    slow = static_cast<uint32_t>(along == Along::channels ? pixels : pixels / v);
    per_image = static_cast<uint32_t>(image.channels_first ? image.c : 1);
  }

  template <int V, Along along>
  DSB_HD Place place(uint32_t vector) const {
    const uint32_t inner = vector % fast, rest = vector / fast, pixel = rest % slow, outer = rest / slow;
    return {outer / per_image, outer % per_image + inner * (along == Along::channels ? V : 1),
            pixel * (along == Along::pixels ? V : 1)};
  }
};

// Whether vectors of `v` values fit an image batch, and along what.
inline bool fits_channels(const Image& image, int v) { return !image.channels_first && image.c % v == 0; }
inline bool fits_pixels(const Image& image, int v) {
  return (image.channels_first || image.c == 1) && image.h * image.w % v == 0;
}

}  // namespace cuda
}  // namespace dsb
