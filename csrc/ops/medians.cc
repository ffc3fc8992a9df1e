#include "ops/medians.h"

#include <algorithm>
#include <limits>

#include "ops/dispatch.h"

namespace dsb {

// Batcher's merge exchange (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M), of rows cut so short that
// all stay in the first-level cache.
void sort_columns(int32_t* x, int64_t rows, int64_t columns) {
  constexpr int64_t kPiece = 256;
  const Kernels& k = kernels();
  int64_t top = 1;
  while (2 * top < rows) top *= 2;
  for (int64_t first = 0; first < columns; first += kPiece)
    for (int64_t p = top; p > 0; p /= 2) {
      int64_t q = top, r = 0, d = p;
      while (true) {
        for (int64_t i = 0; i + d < rows; ++i)
          if ((i & p) == r)
            k.order_rows(x + i * columns + first, x + (i + d) * columns + first, std::min(kPiece, columns - first));
        if (q == p) break;
        d = q - p;
        q /= 2;
        r = p;
      }
    }
}

int64_t twice_median(const int32_t* x, int64_t count, int64_t near) {
  const Kernels& k = kernels();
  const auto most = [&](int64_t limit) { return k.count_at_most(x, count, static_cast<int32_t>(limit)); };
  // The least number that more than (count - 1) / 2 are not above lies from low to high: found by steps that double,
  // then by halves.
  int64_t low = near, high = near, step = 8;
  if (most(near) > (count - 1) / 2) {
    for (low -= step; most(low) > (count - 1) / 2; low -= step) {
      high = low;
      step *= 2;
    }
    ++low;
  } else {
    for (high += step; most(high) <= (count - 1) / 2; high += step) {
      low = high;
      step *= 2;
    }
    ++low;
  }
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (most(middle) > (count - 1) / 2)
      high = middle;
    else
      low = middle + 1;
  }
  if (count % 2 || most(low) > count / 2) return 2 * low;
  int32_t next = std::numeric_limits<int32_t>::max();
  for (int64_t e = 0; e < count; ++e)
    if (x[e] > low && x[e] < next) next = x[e];
  return low + next;
}

}  // namespace dsb
