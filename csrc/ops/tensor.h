// A dense float32 image batch that somebody else owns.
#pragma once

#include <cstdint>
#include <string>

namespace dsb {

struct Shape4 {
  int64_t n, c, h, w;
  int64_t size() const { return n * c * h * w; }
};

inline std::string text(const Shape4& s) {
  return "[" + std::to_string(s.n) + ", " + std::to_string(s.c) + ", " + std::to_string(s.h) + ", " +
         std::to_string(s.w) + "]";
}

}  // namespace dsb
