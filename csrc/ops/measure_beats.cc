#include <algorithm>
#include <cstdlib>

#include "ops/dispatch.h"
#include "ops/measure.h"
#include "ops/medians.h"

namespace dsb {
namespace {

constexpr double kEnergyS = 0.08, kSlopeS = 0.01, kBlockS = 2.0, kRefractoryS = 0.24, kTWaveS = 0.36, kAlignS = 0.06,
                 kLagS = 0.03;
constexpr int64_t kShare = 6, kTShare = 4, kContrast = 12;

using Numbers = std::vector<int64_t>;

size_t size_of(int64_t count) { return static_cast<size_t>(count); }

// Squared slopes x[t + half] - x[t - half], summed over the leads and 2 * around + 1 values.
Numbers energy_of(const EcgSignal& signal, int64_t half, int64_t around) {
  const Kernels& k = kernels();
  const int64_t length = signal.length;
  Numbers squares(size_of(length + 2 * around + 1)), energy(size_of(length));  // beyond the ends there are zeros
  for (int64_t l = 0; l < signal.leads; ++l)
    k.add_squared_steps(signal.lead(l), length - 2 * half, 2 * half, squares.data() + around + 1 + half);
  int64_t sum = 0;
  for (int64_t t = 0; t < 2 * around + 1; ++t) sum += squares[size_of(t)];
  for (int64_t t = 0; t < length; ++t) {
    sum += squares[size_of(t + 2 * around + 1)] - squares[size_of(t)];
    energy[size_of(t)] = sum;
  }
  return energy;
}

// Twice the median over blocks of the largest energy.
int64_t twice_usual(const Numbers& energy, int64_t block) {
  Numbers largest;
  for (auto first = energy.begin(); energy.end() - first >= block; first += block)
    largest.push_back(*std::max_element(first, first + block));
  std::sort(largest.begin(), largest.end());
  return largest[(largest.size() - 1) / 2] + largest[largest.size() / 2];
}

// Whether the usual energy is less than kContrast times what a quarter of all are not above.
bool is_noise(const Numbers& energy, int64_t twice_usual) {
  const int64_t most = twice_usual / (2 * kContrast);
  int64_t quiet = 0;
  for (const int64_t one : energy) quiet += one <= most;
  return quiet <= static_cast<int64_t>(energy.size() / 4);
}

// Positions of maxima above `least`, the largest first to be taken, none closer than `apart` to another.
Numbers peaks(const Numbers& energy, double least, int64_t apart) {
  Numbers candidates, taken;
  for (size_t t = 1; t + 1 < energy.size(); ++t)
    if (static_cast<double>(energy[t]) > least && energy[t] >= energy[t - 1] && energy[t] > energy[t + 1])
      candidates.push_back(static_cast<int64_t>(t));
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](int64_t a, int64_t b) { return energy[size_of(a)] > energy[size_of(b)]; });
  for (const int64_t candidate : candidates) {
    const auto close = [&](int64_t other) { return std::abs(candidate - other) < apart; };
    if (std::none_of(taken.begin(), taken.end(), close)) taken.push_back(candidate);
  }
  std::sort(taken.begin(), taken.end());
  return taken;
}

Numbers without_t_waves(const Numbers& energy, const Numbers& positions, double rate_hz) {
  Numbers kept;
  for (const int64_t position : positions) {
    const bool soon = !kept.empty() && static_cast<double>(position - kept.back()) < kTWaveS * rate_hz;
    if (!(soon && energy[size_of(position)] * kTShare < energy[size_of(kept.back())])) kept.push_back(position);
  }
  return kept;
}

// The slopes around the beats, and where in them each is for now.
struct Around {
  int64_t leads, half, lag, lags, row;
  std::vector<double> slopes;  // [beats][leads][row]: 2 * (half + lag) + 1 values, then zeros for lags nobody asks for
  Numbers begins;

  const double* of(size_t beat) const { return slopes.data() + beat * size_of(leads * row); }
};

Around slopes_around(const EcgSignal& signal, const Numbers& positions, int64_t slope) {
  const int64_t half = signal.samples_of(kAlignS), lag = signal.samples_of(kLagS), lags = 2 * lag + 1;
  const int64_t row = 2 * half + (lags + kCorrelationLags - 1) / kCorrelationLags * kCorrelationLags;
  Around made = {signal.leads, half, lag, lags, row, {}, Numbers(positions.size(), lag)};
  made.slopes.resize(positions.size() * size_of(signal.leads * row));
  double* to = made.slopes.data();
  for (const int64_t position : positions)
    for (int64_t l = 0; l < signal.leads; ++l, to += row) {
      const int16_t* x = signal.lead(l);
      const int64_t first = std::max(position - half - lag, slope);
      const int64_t end = std::min(position + half + lag + 1, signal.length - slope);
      for (int64_t t = first; t < end; ++t) to[t - (position - half - lag)] = x[t + slope] - x[t - slope];
    }
  return made;
}

// The median beat's slopes [leads][2 * half + 1], cut down.
std::vector<double> pattern_of(const Around& around) {
  const int64_t width = 2 * around.half + 1, columns = around.leads * width;
  const int64_t beats = static_cast<int64_t>(around.begins.size());
  std::vector<int32_t> cut(size_of(beats * columns));
  int32_t* to = cut.data();
  for (size_t beat = 0; beat < around.begins.size(); ++beat)
    for (int64_t l = 0; l < around.leads; ++l, to += width) {
      const double* from = around.of(beat) + l * around.row + around.begins[beat];
      for (int64_t t = 0; t < width; ++t) to[t] = static_cast<int32_t>(from[t]);
    }
  sort_columns(cut.data(), beats, columns);
  const int32_t *low = cut.data() + (beats - 1) / 2 * columns, *high = cut.data() + beats / 2 * columns;
  std::vector<double> pattern(size_of(columns));
  for (int64_t e = 0; e < columns; ++e) {
    const int32_t sum = low[e] + high[e];
    pattern[size_of(e)] = (sum - (sum & 1)) / 2;
  }
  return pattern;
}

// The first place at which a beat is most like the pattern. Products of slopes have 34 bits, so 2^19 of them are exact.
int64_t best_place(const Around& around, size_t beat, const std::vector<double>& pattern) {
  const Kernels& k = kernels();
  int64_t best = 0;
  double most = 0.0, sums[kCorrelationLags];
  for (int64_t first = 0; first < around.lags; first += kCorrelationLags) {
    k.correlate(around.of(beat) + first, around.leads, around.row, pattern.data(), 2 * around.half + 1, sums);
    for (int64_t lag = first; lag < std::min(around.lags, first + kCorrelationLags); ++lag)
      if (lag == 0 || sums[lag - first] > most) {
        most = sums[lag - first];
        best = lag;
      }
  }
  return best;
}

}  // namespace

std::vector<int64_t> ecg_beats(const EcgSignal& signal) {
  const int64_t slope = signal.samples_of(kSlopeS), block = signal.samples_of(kBlockS);
  if (signal.length <= std::max(4 * slope, block)) return {};
  const Numbers energy = energy_of(signal, slope, signal.samples_of(kEnergyS / 2));
  const int64_t usual = twice_usual(energy, block);
  if (usual == 0 || is_noise(energy, usual)) return {};
  const double least = static_cast<double>(usual) / 2 / kShare;
  Numbers found = peaks(energy, least, signal.samples_of(kRefractoryS));
  found = without_t_waves(energy, found, signal.rate_hz);
  const int64_t room = signal.samples_of(kAlignS) + signal.samples_of(kLagS);
  const auto outside = [&](int64_t position) { return position < room || position >= signal.length - room; };
  found.erase(std::remove_if(found.begin(), found.end(), outside), found.end());
  if (found.empty()) return {};
  Around around = slopes_around(signal, found, slope);
  for (int pass = 0; pass < 2; ++pass) {  // the second time with a pattern of aligned beats
    const std::vector<double> pattern = pattern_of(around);
    for (size_t beat = 0; beat < found.size(); ++beat) around.begins[beat] = best_place(around, beat, pattern);
  }
  for (size_t beat = 0; beat < found.size(); ++beat) found[beat] += around.begins[beat] - around.lag;
  return found;
}

}  // namespace dsb
