// A dense float32 image batch that somebody else owns.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

namespace dsb {

struct Shape4 {
  int64_t n, c, h, w;
  int64_t size() const { return n * c * h * w; }
};

// The size with zeros counted as ones, or the largest number where that does not fit: for limits.
inline int64_t saturated_size(const Shape4& s) {
  int64_t size = 1;
  for (const int64_t dimension : {s.n, s.c, s.h, s.w})
    if (__builtin_mul_overflow(size, std::max<int64_t>(dimension, 1), &size))
      return std::numeric_limits<int64_t>::max();
  return size;
}

inline std::string text(const Shape4& s) {
  return "[" + std::to_string(s.n) + ", " + std::to_string(s.c) + ", " + std::to_string(s.h) + ", " +
         std::to_string(s.w) + "]";
}

}  // namespace dsb
