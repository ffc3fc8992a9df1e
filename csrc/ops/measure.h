// What is measured of an ECG: dsb_fast/_filter says the same in numpy, and docs/filters.md what it means.
#pragma once

#include <cstdint>
#include <vector>

namespace dsb {

struct EcgSignal {
  const int16_t* values;  // [leads][length], microvolts
  int64_t leads, length;
  double rate_hz;

  const int16_t* lead(int64_t l) const { return values + l * length; }
  // Samples in a duration, at least 1.
  int64_t samples_of(double seconds) const {
    const double samples = seconds * rate_hz + 0.5;
    return samples < 1e9 ? (samples > 1.0 ? static_cast<int64_t>(samples) : 1) : 1000000000;
  }
};

// Positions of the beats, in order.
std::vector<int64_t> ecg_beats(const EcgSignal& signal);

// Of the median beat; not a number where a wave can't be told from its surroundings.
struct EcgWaves {
  double qrs_ms, pr_ms, qt_ms, qrs_range_uv;
};
EcgWaves ecg_waves(const EcgSignal& signal, const std::vector<int64_t>& beats);

// Largest less smallest value, of the lead where that is most, and least.
struct EcgRanges {
  int64_t most, least;
};
EcgRanges ecg_ranges(const EcgSignal& signal);

// Equal neighbours in a row, of the longest such stretch of any lead.
int64_t ecg_flat(const EcgSignal& signal);

// Values that are their lead's largest or smallest, three or more in a row; none of a flat lead.
int64_t ecg_clipped(const EcgSignal& signal);

// Largest less smallest median of blocks of `width` values of a lead, where that is most; there is at least one block.
double ecg_baseline(const EcgSignal& signal, int64_t width);

// The median of |x[t-1] - 2 x[t] + x[t+1]| of the lead where that is largest; length is at least 3.
double ecg_noise(const EcgSignal& signal);

}  // namespace dsb
