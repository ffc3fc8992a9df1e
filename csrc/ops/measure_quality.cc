#include <algorithm>
#include <cstdlib>

#include "ops/measure.h"
#include "ops/medians.h"

namespace dsb {
namespace {

struct Range {
  int16_t low, high;
};

Range range_of(const int16_t* x, int64_t count) {
  int16_t low = x[0], high = x[0];
  for (int64_t e = 1; e < count; ++e) {
    low = std::min(low, x[e]);
    high = std::max(high, x[e]);
  }
  return {low, high};
}

int64_t in_runs(const int16_t* x, int64_t count, int16_t value) {
  constexpr int64_t kRun = 3;
  int64_t total = 0, run = 0;
  int32_t hits = 0;  // as narrow as makes a vector of many
  for (int64_t e = 0; e < count; ++e) hits += x[e] == value ? 1 : 0;
  if (hits < kRun) return 0;
  for (int64_t e = 0; e < count; ++e) {
    run = x[e] == value ? run + 1 : 0;
    if (run >= kRun) total += run == kRun ? kRun : 1;
  }
  return total;
}

}  // namespace

EcgRanges ecg_ranges(const EcgSignal& signal) {
  EcgRanges ranges = {0, 1 << 16};
  for (int64_t l = 0; l < signal.leads; ++l) {
    const Range range = range_of(signal.lead(l), signal.length);
    ranges.most = std::max<int64_t>(ranges.most, range.high - range.low);
    ranges.least = std::min<int64_t>(ranges.least, range.high - range.low);
  }
  return ranges;
}

int64_t ecg_flat(const EcgSignal& signal) {
  int64_t longest = 0;
  for (int64_t l = 0; l < signal.leads; ++l) {
    const int16_t* x = signal.lead(l);
    // A stretch longer than the longest has an equal pair `longest` pairs after its first: looked for there, backwards.
    int64_t first = 0;
    while (first + longest + 1 < signal.length) {
      int64_t pair = first + longest;
      while (pair >= first && x[pair] == x[pair + 1]) --pair;
      if (pair < first) {
        int64_t end = first + longest + 1;
        while (end + 1 < signal.length && x[end] == x[end + 1]) ++end;
        longest = end - first;
        pair = end;
      }
      first = pair + 1;
    }
  }
  return longest;
}

int64_t ecg_clipped(const EcgSignal& signal) {
  int64_t clipped = 0;
  for (int64_t l = 0; l < signal.leads; ++l) {
    const Range range = range_of(signal.lead(l), signal.length);
    if (range.low == range.high) continue;
    clipped += in_runs(signal.lead(l), signal.length, range.low);
    clipped += in_runs(signal.lead(l), signal.length, range.high);
  }
  return clipped;
}

double ecg_baseline(const EcgSignal& signal, int64_t width) {
  int64_t most = 0;
  std::vector<int32_t> block(static_cast<size_t>(width));
  for (int64_t l = 0; l < signal.leads; ++l) {
    int64_t low = 1 << 17, high = -(1 << 17), median = 0;
    for (int64_t first = 0; first + width <= signal.length; first += width) {
      std::copy_n(signal.lead(l) + first, width, block.begin());
      median = twice_median(block.data(), width, median / 2);
      low = std::min(low, median);
      high = std::max(high, median);
    }
    most = std::max(most, high - low);
  }
  return static_cast<double>(most) / 2;
}

double ecg_noise(const EcgSignal& signal) {
  int64_t most = 0;
  const int64_t count = signal.length - 2;
  std::vector<int32_t> second(static_cast<size_t>(count));
  for (int64_t l = 0; l < signal.leads; ++l) {
    const int16_t* x = signal.lead(l);
    for (int64_t e = 0; e < count; ++e) second[static_cast<size_t>(e)] = std::abs(x[e] - 2 * x[e + 1] + x[e + 2]);
    most = std::max(most, twice_median(second.data(), count, most / 2));
  }
  return static_cast<double>(most) / 2;
}

}  // namespace dsb
