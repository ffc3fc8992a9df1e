// Measurements of ECGs on exact buffers: every variant's kernels against plain loops, and whole ones of signals of any
// length; built with a sanitizer. The numbers themselves are compared with numpy's in Python.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "native/expect.h"
#include "ops/dispatch.h"
#include "ops/measure.h"
#include "ops/medians.h"

namespace {

std::mt19937 engine(17);

template <typename T>
std::vector<T> draw(int64_t count, int32_t low, int32_t high) {
  std::vector<T> made;
  for (int64_t e = 0; e < count; ++e)
    made.push_back(static_cast<T>(std::uniform_int_distribution<>(low, high)(engine)));
  return made;
}

void test_rows(const dsb::Kernels& k) {
  for (int64_t count : {0, 1, 3, 7, 8, 9, 15, 16, 17, 33, 100}) {
    const std::vector<int16_t> x = draw<int16_t>(count + 5, -32768, 32767);
    std::vector<int64_t> sums(static_cast<size_t>(count), 7), expected = sums;
    k.add_squared_steps(x.data(), count, 5, sums.data());
    for (size_t e = 0; e < expected.size(); ++e) {
      const int64_t step = x[e + 5] - x[e];
      expected[e] += step * step;
    }
    expect(sums == expected, std::string(k.name) + ": add_squared_steps");
    const std::vector<int32_t> a = draw<int32_t>(count, -9, 9), b = draw<int32_t>(count, -9, 9);
    const auto most = [](int32_t one) { return one <= 2; };
    expect(k.count_at_most(a.data(), count, 2) == std::count_if(a.begin(), a.end(), most),
           std::string(k.name) + ": count_at_most");
    std::vector<int32_t> low = a, high = b;
    k.order_rows(low.data(), high.data(), count);
    bool good = true;
    for (size_t e = 0; e < low.size(); ++e) good &= low[e] == std::min(a[e], b[e]) && high[e] == std::max(a[e], b[e]);
    expect(good, std::string(k.name) + ": order_rows");
  }
}

void test_correlate(const dsb::Kernels& k) {
  for (int64_t rows : {1, 8})
    for (int64_t columns : {1, 3, 61}) {
      const int64_t row = columns + dsb::kCorrelationLags - 1;
      const std::vector<double> x = draw<double>(rows * row, -65535, 65535);
      const std::vector<double> pattern = draw<double>(rows * columns, -65535, 65535);
      double sums[dsb::kCorrelationLags];
      k.correlate(x.data(), rows, row, pattern.data(), columns, sums);
      bool good = true;
      for (int64_t lag = 0; lag < dsb::kCorrelationLags; ++lag) {
        int64_t sum = 0;
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < columns; ++c)
            sum += static_cast<int64_t>(x[static_cast<size_t>(r * row + lag + c)]) *
                   static_cast<int64_t>(pattern[static_cast<size_t>(r * columns + c)]);
        good &= sums[lag] == static_cast<double>(sum);
      }
      expect(good, std::string(k.name) + ": correlate");
    }
}

void test_medians() {
  for (int64_t rows = 1; rows <= 40; ++rows) {
    std::vector<int32_t> x = draw<int32_t>(rows, -50, 50), ordered = x, columns;
    std::sort(ordered.begin(), ordered.end());
    const int64_t middle = ordered[static_cast<size_t>((rows - 1) / 2)] + ordered[static_cast<size_t>(rows / 2)];
    for (int64_t near : {-65536, -51, 0, 3, 50, 65536})
      expect(dsb::twice_median(x.data(), rows, near) == middle, "median of " + std::to_string(rows));
    dsb::sort_columns(x.data(), rows, 1);
    expect(x == ordered, "order of " + std::to_string(rows));
  }
}

// Pulses 400 samples apart between what is drawn.
std::vector<int16_t> signal_of(int64_t leads, int64_t length, int32_t noise, double pulse) {
  std::vector<int16_t> made = draw<int16_t>(leads * length, -noise, noise);
  for (int64_t e = 0; e < leads * length; ++e) {
    const double at = static_cast<double>(e % length % 400 - 200) / 5.0;
    made[static_cast<size_t>(e)] = static_cast<int16_t>(made[static_cast<size_t>(e)] + pulse * std::exp(-at * at));
  }
  return made;
}

void test_whole() {
  for (int64_t length : {1, 2, 3, 4, 999, 1000, 1001, 1200, 5000})
    for (double pulse : {0.0, 1000.0, 20000.0})
      for (double rate_hz : {50.0, 250.0, 500.0, 1000.0}) {
        const std::vector<int16_t> values = signal_of(3, length, 20, pulse);
        const dsb::EcgSignal signal = {values.data(), 3, length, rate_hz};
        const std::vector<int64_t> beats = dsb::ecg_beats(signal);
        const dsb::EcgWaves waves = dsb::ecg_waves(signal, beats);
        const bool measured = length == 5000 && rate_hz == 500.0 && pulse > 0.0;
        expect(!measured || (beats.size() >= 10 && beats[1] - beats[0] >= 390), "beats of pulses");
        expect(!measured || waves.qrs_range_uv > pulse / 2, "range of pulses");
        expect(dsb::ecg_flat(signal) < length, "flat");
        expect(dsb::ecg_clipped(signal) <= 3 * length, "clipped");
        expect(dsb::ecg_ranges(signal).least <= dsb::ecg_ranges(signal).most, "ranges");
        if (length >= 3) expect(dsb::ecg_noise(signal) >= 0.0, "noise");
        for (int64_t width : {int64_t{1}, int64_t{250}, length})
          if (width <= length) expect(dsb::ecg_baseline(signal, width) >= 0.0, "baseline");
      }
}

}  // namespace

void run_measure_tests() {
  for (const dsb::Variant& variant : dsb::variants()) {
    if (!variant.available) continue;
    test_rows(dsb::kernels(variant.name));
    test_correlate(dsb::kernels(variant.name));
  }
  test_medians();
  test_whole();
}
