#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/measure.h"
#include "ops/medians.h"

namespace dsb {
namespace {

constexpr double kBeforeS = 0.36, kAfterS = 0.66, kBeforeShare = 0.42, kAfterShare = 0.62, kSlow = 0.08, kStillS = 0.02;
constexpr double kShortestQrsS = 0.03, kLongestQrsS = 0.22, kShortestPrS = 0.07, kLongestPrS = 0.36, kShortestQtS = 0.2,
                 kLongestQtS = 0.65, kTFallS = 0.24, kPRiseS = 0.12;
constexpr double kNoises = 5.0, kHeight = 0.02, kNaN = std::numeric_limits<double>::quiet_NaN();

// Halves and quarters of whole numbers, whose sums are exact.
using Values = std::vector<double>;

size_t size_of(int64_t count) { return static_cast<size_t>(count); }

double median(Values values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return values.size() % 2 ? *middle : (*std::max_element(values.begin(), middle) + *middle) / 2;
}

double median_of(const std::vector<int64_t>& beats) {
  Values intervals;
  for (size_t k = 1; k < beats.size(); ++k) intervals.push_back(static_cast<double>(beats[k] - beats[k - 1]));
  return median(intervals);
}

struct Beat {
  int64_t leads, width;
  Values values;  // [leads][width]; empty where there is no such beat

  const double* lead(int64_t l) const { return values.data() + l * width; }
};

// Of each value the median over the beats, each less its own mean, cut down.
Beat median_beat(const EcgSignal& signal, const std::vector<int64_t>& beats, int64_t before, int64_t after) {
  Beat beat = {signal.leads, before + after, {}};
  std::vector<int64_t> inside;
  for (const int64_t position : beats)
    if (before <= position && position <= signal.length - after) inside.push_back(position);
  if (inside.size() < 3 || before < signal.samples_of(0.1)) return beat;
  const int64_t columns = beat.leads * beat.width, rows = static_cast<int64_t>(inside.size());
  std::vector<int32_t> cut(size_of(rows * columns));
  int32_t* to = cut.data();
  for (const int64_t position : inside)
    for (int64_t l = 0; l < beat.leads; ++l, to += beat.width) {
      const int16_t* x = signal.lead(l) + position - before;
      int64_t sum = 0;
      for (int64_t t = 0; t < beat.width; ++t) sum += x[t];
      const int64_t rest = sum % beat.width;
      const int32_t mean = static_cast<int32_t>(sum / beat.width - (rest < 0 ? 1 : 0));
      for (int64_t t = 0; t < beat.width; ++t) to[t] = x[t] - mean;
    }
  sort_columns(cut.data(), rows, columns);
  const int32_t *low = cut.data() + (rows - 1) / 2 * columns, *high = cut.data() + rows / 2 * columns;
  beat.values.resize(size_of(columns));
  for (int64_t e = 0; e < columns; ++e) beat.values[size_of(e)] = (low[e] + high[e]) / 2.0;
  return beat;
}

// Sums over 10 ms; the first and the last value go on beyond the ends.
Values smooth(const Values& values, const EcgSignal& signal) {
  const int64_t half = signal.samples_of(0.004), count = static_cast<int64_t>(values.size());
  const auto at = [&](int64_t t) { return values[size_of(std::clamp<int64_t>(t, 0, count - 1))]; };
  Values sums(values.size());
  double sum = 0.0;
  for (int64_t t = -half; t <= half; ++t) sum += at(t);
  for (int64_t t = 0; t < count; ++t) {
    sums[size_of(t)] = sum;
    sum += at(t + half + 1) - at(t - half);
  }
  return sums;
}

// By second differences of neighbours that share no sample; not a number if there are none.
double noise_of(const Values& values) {
  constexpr size_t kStep = 6;
  Values second;
  for (size_t t = 2 * kStep; t < values.size(); ++t)
    second.push_back(std::fabs(values[t - 2 * kStep] - 2 * values[t - kStep] + values[t]));
  return second.empty() ? kNaN : median(second) / 2;
}

// How many steps from `first` on until `still` values in a row are below `least`; -1 if there are none.
int64_t until_still(const Values& speed, int64_t first, int64_t step, double least, int64_t still) {
  int64_t run = 0;
  for (int64_t t = first; t >= 0 && t < static_cast<int64_t>(speed.size()); t += step) {
    run = speed[size_of(t)] < least ? run + 1 : 0;
    if (run == still) return std::abs(t - first) - still + 1;
  }
  return -1;
}

struct Span {
  int64_t begin, end;  // 0, 0 for none
};

Span qrs_of(const Beat& beat, int64_t center, const EcgSignal& signal) {
  Values speed(size_of(beat.width));
  for (int64_t l = 0; l < beat.leads; ++l)
    for (int64_t t = 1; t + 1 < beat.width; ++t)
      speed[size_of(t)] += std::fabs(beat.lead(l)[t + 1] - beat.lead(l)[t - 1]);
  speed = smooth(speed, signal);
  const int64_t near = signal.samples_of(0.06);
  const auto at = speed.begin();
  const int64_t fastest = std::max_element(at + center - near, at + std::min(center + near + 1, beat.width)) - at;
  Values ordered = speed;
  std::nth_element(ordered.begin(), ordered.begin() + beat.width / 4, ordered.end());
  const double quiet = ordered[size_of(beat.width / 4)];
  const double least = quiet + kSlow * (speed[size_of(fastest)] - quiet);
  const int64_t still = signal.samples_of(kStillS);
  const int64_t end = until_still(speed, fastest, 1, least, still);
  const int64_t begin = until_still(speed, fastest, -1, least, still);
  const double lasts_s = static_cast<double>(begin + end) / signal.rate_hz;
  if (begin < 0 || end < 0 || !(kShortestQrsS <= lasts_s && lasts_s <= kLongestQrsS)) return {0, 0};
  return {fastest - begin, fastest + end};
}

// Distance from the level before the QRS, summed over the leads; empty if no sample lies there.
Values height_of(const Beat& beat, int64_t begin, const EcgSignal& signal) {
  const int64_t first = std::max<int64_t>(0, begin - signal.samples_of(0.02));
  const int64_t end = std::max<int64_t>(1, begin - signal.samples_of(0.004));
  if (first >= end) return {};
  Values height(size_of(beat.width));
  for (int64_t l = 0; l < beat.leads; ++l) {
    const double level = median(Values(beat.lead(l) + first, beat.lead(l) + end));
    for (int64_t t = 0; t < beat.width; ++t) height[size_of(t)] += std::fabs(beat.lead(l)[t] - level);
  }
  return smooth(height, signal);
}

// The place where the steepest tangent after a top, the first of `count` values `step` apart, meets the lowest there.
double tangent(const double* after, int64_t count, int64_t step, double least) {
  constexpr int64_t kStep = 3;
  int64_t lowest = 0, steepest = 0;
  for (int64_t t = 1; t < count; ++t)
    if (after[t * step] < after[lowest * step]) lowest = t;
  const double base = after[lowest * step];
  if (lowest < 2 * kStep || after[0] - base < least) return kNaN;
  const auto fall = [&](int64_t t) { return after[t * step] - after[(t + 2 * kStep) * step]; };
  for (int64_t t = 1; t + 2 * kStep <= lowest; ++t)
    if (fall(t) > fall(steepest)) steepest = t;
  return static_cast<double>(steepest + kStep) +
         (after[(steepest + kStep) * step] - base) / (fall(steepest) / (2 * kStep));
}

double t_end(const Values& height, int64_t begin, double least, int64_t fall) {
  const int64_t count = static_cast<int64_t>(height.size());
  if (count - begin < 10) return kNaN;
  const int64_t top = std::max_element(height.begin() + begin, height.end()) - height.begin();
  if (top == begin) return kNaN;
  return static_cast<double>(top) + tangent(height.data() + top, std::min(fall, count - top), 1, least);
}

double p_begin(const Values& height, int64_t end, double least, int64_t rise) {
  if (end < 10) return kNaN;
  const int64_t top = std::max_element(height.begin(), height.begin() + end) - height.begin();
  if (top == end - 1) return kNaN;
  return static_cast<double>(top) - tangent(height.data() + top, std::min(rise, top) + 1, -1, least);
}

double within(double duration_s, double shortest_s, double longest_s) {
  return shortest_s <= duration_s && duration_s <= longest_s ? duration_s * 1000.0 : kNaN;
}

}  // namespace

EcgWaves ecg_waves(const EcgSignal& signal, const std::vector<int64_t>& beats) {
  const EcgWaves none = {kNaN, kNaN, kNaN, kNaN};
  if (beats.size() < 3) return none;
  const double rate = signal.rate_hz, usual = median_of(beats);
  const int64_t before = static_cast<int64_t>(std::min(kBeforeS * rate, kBeforeShare * usual));
  const int64_t after = static_cast<int64_t>(std::min(kAfterS * rate, kAfterShare * usual));
  const Beat beat = median_beat(signal, beats, before, after);
  if (beat.values.empty()) return none;
  const Span qrs = qrs_of(beat, before, signal);
  if (qrs.begin == qrs.end) return none;
  double range = 0.0;
  for (int64_t l = 0; l < beat.leads; ++l) {
    const auto [low, high] = std::minmax_element(beat.lead(l) + qrs.begin, beat.lead(l) + qrs.end + 1);
    range = std::max(range, *high - *low);
  }
  EcgWaves waves = {static_cast<double>(qrs.end - qrs.begin) * 1000.0 / rate, kNaN, kNaN, range};
  const Values height = height_of(beat, qrs.begin, signal);
  if (height.empty()) return waves;
  const double share = kHeight * *std::max_element(height.begin() + qrs.begin, height.begin() + qrs.end);
  double least = kNoises * noise_of(height);
  if (share > least) least = share;
  const double ends = t_end(height, qrs.end + signal.samples_of(0.06), least, signal.samples_of(kTFallS));
  const double begins = p_begin(height, qrs.begin - signal.samples_of(0.02), least, signal.samples_of(kPRiseS));
  const double begin = static_cast<double>(qrs.begin);
  waves.pr_ms = within((begin - begins) / rate, kShortestPrS, kLongestPrS);
  waves.qt_ms = within((ends - begin) / rate, kShortestQtS, kLongestQtS);
  return waves;
}

}  // namespace dsb
