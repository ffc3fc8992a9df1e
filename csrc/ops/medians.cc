#include "ops/medians.h"

#include <algorithm>
#include <limits>

#include "ops/dispatch.h"

namespace dsb {

// Batcher's merge exchange (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M), of whole rows.
void sort_columns(int32_t* x, int64_t rows, int64_t columns) {
  const Kernels& k = kernels();
  int64_t top = 1;
  while (2 * top < rows) top *= 2;
  for (int64_t p = top; p > 0; p /= 2) {
    int64_t q = top, r = 0, d = p;
    while (true) {
      for (int64_t i = 0; i + d < rows; ++i)
        if ((i & p) == r) k.order_rows(x + i * columns, x + (i + d) * columns, columns);
      if (q == p) break;
      d = q - p;
      q /= 2;
      r = p;
    }
  }
}

int64_t twice_median(const int32_t* x, int64_t count) {
  const Kernels& k = kernels();
  int32_t smallest = x[0], largest = x[0];
  for (int64_t e = 1; e < count; ++e) {  // which compilers make vectors of, as they don't of std::minmax_element
    smallest = std::min(smallest, x[e]);
    largest = std::max(largest, x[e]);
  }
  int64_t low = smallest, high = largest;
  while (low < high) {  // the least number that more than (count - 1) / 2 are not above
    const int64_t middle = low + (high - low) / 2;
    if (k.count_at_most(x, count, static_cast<int32_t>(middle)) > (count - 1) / 2)
      high = middle;
    else
      low = middle + 1;
  }
  if (count % 2 || k.count_at_most(x, count, static_cast<int32_t>(low)) > count / 2) return 2 * low;
  int32_t next = std::numeric_limits<int32_t>::max();
  for (int64_t e = 0; e < count; ++e)
    if (x[e] > low && x[e] < next) next = x[e];
  return low + next;
}

}  // namespace dsb
