// Weights of image convolutions, and the direct route.
#include "ops/image_conv.h"

#include <algorithm>

#include "core/float_environment.h"
#include "ops/dispatch.h"
#include "ops/thread_memory.h"
#include "ops/work.h"

namespace dsb {
namespace {

constexpr double kTwo[] = {0.0, 1.0, -1.0}, kFour[] = {0.0, 0.75, -0.75, 1.5, -1.5};  // and infinity, both

// `lanes` filters side by side, three taps `step` apart, at the points, `out_step` apart; each divided by the product
// of its point's distances from the others.
void at_points(const double* taps, int64_t step, int64_t lanes, int64_t outputs, int64_t out_step, double* out) {
  if (outputs == 3) {  // two taps at 0, 1, -1 and infinity; the middle one
    for (int64_t k = 0; k < lanes; ++k) {
      const double first = taps[k], second = taps[2 * step + k];
      out[k] = first, out[out_step + k] = (first + second) / 2, out[2 * out_step + k] = (first - second) / 2;
      out[3 * out_step + k] = second, out[4 * out_step + k] = taps[step + k];
    }
    return;
  }
  const double* points = outputs == 2 ? kTwo : kFour;
  const int64_t finite = outputs + 1;
  for (int64_t p = 0; p < finite; ++p, out += out_step) {
    double distances = 1.0;
    for (int64_t other = 0; other < finite; ++other)
      if (other != p) distances *= points[p] - points[other];
    for (int64_t k = 0; k < lanes; ++k)
      out[k] = ((taps[2 * step + k] * points[p] + taps[step + k]) * points[p] + taps[k]) / distances;
  }
  std::copy_n(taps + 2 * step, lanes, out);
}

// Rows of a plane that are computed together, and output channels.
constexpr int64_t kPositions = 512, kChannels = 24;

// Sums of rows `row` and on to the result; sums' rows are `pitch` apart, channels `plane`.
void finish(const Kernels& k, const ImageConv& conv, int64_t sample, int64_t first, int64_t channels, int64_t position,
            int64_t rows, int64_t width, int64_t pitch, int64_t plane, const float* sums) {
  const ConvEpilogue& e = conv.epilogue;
  const int64_t area = conv.out_height * conv.out_width;
  const size_t count = static_cast<size_t>(width);
  float* added = thread_memory(ThreadMemory::strip, width);
  const float none = 0.0f;
  for (int64_t o = first; o < first + channels; ++o)
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t at = position + r * conv.out_width, to = (sample * conv.weight.n + o) * area + at;
      const float* noise = e.noise ? e.noise + sample * conv.noise_step + at : nullptr;
      if (noise && e.noise_gain) {
        k.scale_add(noise, count, e.noise_gain[o], nullptr, added);
        noise = added;
      }
      const float factor = conv.factors ? conv.factors[sample * conv.factor_step + o] : 1.0f;
      k.scale_add(sums + (o - first) * plane + r * pitch, count, factor, noise, conv.out + to);
      k.bias_act(conv.out + to, count, e.bias ? e.bias + o : &none, 0, e.activation, conv.out + to);
      if (e.residual) k.scale_add(conv.out + to, count, 1.0f, e.residual + to, conv.out + to);
    }
}

// x times the styles with zeros around it, or cropped: planes of `height` x `width`.
void place(const Kernels& k, const ImageConv& conv, int64_t sample, int64_t channel, int64_t height, int64_t width,
           float* to) {
  const float* x = conv.x + sample * conv.x_step + channel * conv.height * conv.width;
  const float style = conv.styles ? conv.styles[sample * conv.style_step + channel] : 1.0f;
  const int64_t begin = std::max<int64_t>(0, conv.left), end = std::min(width, conv.left + conv.width);
  for (int64_t y = 0; y < height; ++y, to += width) {
    const int64_t row = y - conv.top;
    if (row < 0 || row >= conv.height || begin >= end) {
      std::fill_n(to, width, 0.0f);
      continue;
    }
    std::fill_n(to, begin, 0.0f);
    std::fill_n(to + end, width - end, 0.0f);
    k.scale_add(x + row * conv.width + begin - conv.left, static_cast<size_t>(end - begin), style, nullptr, to + begin);
  }
}

// A kernel of one point: any run of positions is a plane of its own.
void point_conv(const ImageConv& conv, const float* weight, const Threads& threads) {
  const Kernels& k = kernels();
  const int64_t area = conv.height * conv.width, channels = conv.channels;
  const int64_t run = std::max<int64_t>(64, std::min<int64_t>(1024, 32768 / std::max<int64_t>(channels, 1)) / 64 * 64);
  const int64_t runs = divide_up(area, run), slack = 64, pitch = run + slack;
  parallel_for(static_cast<uint64_t>(conv.samples * runs), threads, [&](uint64_t task) {
    const int64_t n = static_cast<int64_t>(task) / runs, first = static_cast<int64_t>(task) % runs * run;
    const int64_t count = std::min(run, area - first);
    float* panel = thread_memory(ThreadMemory::values, channels * count + slack);
    float* sums = thread_memory(ThreadMemory::sums, kChannels * pitch);
    for (int64_t c = 0; c < channels; ++c)
      k.scale_add(conv.x + n * conv.x_step + c * area + first, static_cast<size_t>(count),
                  conv.styles ? conv.styles[n * conv.style_step + c] : 1.0f, nullptr, panel + c * count);
    std::fill_n(panel + channels * count, slack, 0.0f);
    const ConvPlane plane = {channels, 1, count, 1, count, 1, 1, false};
    for (int64_t o = 0; o < conv.weight.n; o += kChannels) {
      const int64_t here = std::min(kChannels, conv.weight.n - o);
      k.direct2d(plane, here, panel, weight + o * channels, count, sums, pitch);
      finish(k, conv, n, o, here, first, 1, count, 0, pitch, sums);
    }
  });
}

}  // namespace

int64_t winograd_outputs(const Shape4& weight, int64_t out_height, int64_t out_width, bool bfloat16) {
  if (weight.h != 3 || weight.w != 3) return 0;
  return out_height * out_width >= (bfloat16 ? 256 : 64) ? 4 : 2;
}

WinogradWeights::WinogradWeights(const float* weight, const Shape4& shape, bool flip, int64_t outputs, bool bfloat16,
                                 const Threads& threads)
    : outputs_(outputs), channels_(shape.c), padded_(padded_channels(shape.n)) {
  const int64_t side = outputs + 2;
  packed_.resize(static_cast<size_t>(padded_ * channels_ * side * side));
  const int64_t blocks = divide_up(padded_, kBlock);
  parallel_for(static_cast<uint64_t>(blocks), threads, [&](uint64_t task) {
    const int64_t block = static_cast<int64_t>(task), lanes = rows(block);
    std::vector<double> taps(static_cast<size_t>(9 * kBlock)), half(static_cast<size_t>(3 * side * kBlock));
    std::vector<double> whole(static_cast<size_t>(side * side * kBlock));
    for (int64_t c = 0; c < channels_; ++c) {
      for (int64_t o = 0; o < std::min(lanes, shape.n - block * kBlock); ++o)
        for (int64_t tap = 0; tap < 9; ++tap)
          taps[static_cast<size_t>(tap * kBlock + o)] =
              weight[((block * kBlock + o) * channels_ + c) * 9 + (flip ? 8 - tap : tap)];
      for (int64_t x = 0; x < 3; ++x)  // down each column of taps: [point][column]
        at_points(&taps[static_cast<size_t>(x * kBlock)], 3 * kBlock, lanes, outputs, 3 * kBlock,
                  &half[static_cast<size_t>(x * kBlock)]);
      for (int64_t y = 0; y < side; ++y)
        at_points(&half[static_cast<size_t>(3 * y * kBlock)], kBlock, lanes, outputs, kBlock,
                  &whole[static_cast<size_t>(y * side * kBlock)]);
      for (int64_t p = 0; p < side * side; ++p) {
        float* to = packed_.data() + (at(block, p) - packed_.data()) + c * lanes;
        for (int64_t o = 0; o < lanes; ++o) to[o] = static_cast<float>(whole[static_cast<size_t>(p * kBlock + o)]);
      }
    }
  });
  if (bfloat16) round(threads);
}

void WinogradWeights::round(const Threads& threads) {
  const Kernels& k = kernels();
  const int64_t points = (outputs_ + 2) * (outputs_ + 2), pairs = divide_up(channels_, 2);
  pairs_.resize(static_cast<size_t>(padded_ * pairs * points));
  parallel_for(static_cast<uint64_t>(divide_up(padded_, kBlock)), threads, [&](uint64_t task) {
    const int64_t block = static_cast<int64_t>(task), lanes = rows(block);
    for (int64_t p = 0; p < points; ++p)
      for (int64_t c = 0; c < channels_; c += 2) {
        const float* first = at(block, p) + c * lanes;
        bfloat16_pair* to = pairs_.data() + (pairs_at(block, p) - pairs_.data()) + c / 2 * lanes;
        k.pair_bf16(first, c + 1 < channels_ ? first + lanes : nullptr, static_cast<size_t>(lanes), to);
      }
  });
  LargeVector().swap(packed_);
}

int64_t WinogradWeights::rows(int64_t block) const { return std::min(kBlock, padded_ - block * kBlock); }

const float* WinogradWeights::at(int64_t block, int64_t point) const {
  const int64_t side = outputs_ + 2;
  return packed_.data() + (block * kBlock * side * side + point * rows(block)) * channels_;
}

const bfloat16_pair* WinogradWeights::pairs_at(int64_t block, int64_t point) const {
  const int64_t side = outputs_ + 2;
  return pairs_.data() + (block * kBlock * side * side + point * rows(block)) * divide_up(channels_, 2);
}

const std::vector<double>& ConvWeights::energies(const float* weight) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (energies_.empty()) {
    const FloatEnvironment environment;
    const int64_t taps = shape_.h * shape_.w;
    std::vector<double> made(static_cast<size_t>(padded_channels(shape_.n) * shape_.c));
    for (int64_t o = 0; o < shape_.n; ++o)
      for (int64_t c = 0; c < shape_.c; ++c) {
        double sum = 0.0;
        for (int64_t tap = 0; tap < taps; ++tap) {
          const double w = weight[(o * shape_.c + c) * taps + tap];
          sum += w * w;
        }
        made[static_cast<size_t>((o / kChannelBlock * shape_.c + c) * kChannelBlock + o % kChannelBlock)] = sum;
      }
    energies_ = std::move(made);
  }
  return energies_;
}

const WinogradWeights& ConvWeights::at_points(const float* weight, int64_t outputs, bool bfloat16,
                                              const Threads& threads) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::unique_ptr<WinogradWeights>& made = at_points_[outputs - 2][bfloat16];
  if (!made) made = std::make_unique<WinogradWeights>(weight, shape_, flip_, outputs, bfloat16, threads);
  return *made;
}

std::vector<float> demodulation_factors(const std::vector<double>& energies, const Shape4& weight, const float* styles,
                                        int64_t style_step, int64_t samples, const Threads& threads) {
  const Kernels& k = kernels();
  const int64_t blocks = divide_up(weight.n, kChannelBlock), row = blocks * kChannelBlock;
  std::vector<float> factors(static_cast<size_t>(samples * row));
  const int64_t group = items_per_task(samples * weight.c * kChannelBlock);
  parallel_for(static_cast<uint64_t>(divide_up(blocks, group)), threads, [&](uint64_t task) {
    const int64_t first = static_cast<int64_t>(task) * group;
    for (int64_t b = first; b < std::min(blocks, first + group); ++b)
      for (int64_t n = 0; n < samples; ++n)
        k.demodulation(energies.data() + b * weight.c * kChannelBlock, weight.c, styles + n * style_step,
                       factors.data() + n * row + b * kChannelBlock);
  });
  return factors;
}

void direct_conv(const ImageConv& conv, const float* weight, const Threads& threads) {
  const bool point = conv.weight.h == 1 && conv.weight.w == 1 && conv.top == 0 && conv.left == 0;
  if (point && conv.out_height == conv.height && conv.out_width == conv.width) return point_conv(conv, weight, threads);
  const Kernels& k = kernels();
  const int64_t height = conv.out_height + conv.weight.h - 1, width = conv.out_width + conv.weight.w - 1;
  const int64_t slack = 64, rows = std::max<int64_t>(1, kPositions / width);
  const int64_t parts = divide_up(conv.out_height, rows), blocks = divide_up(conv.weight.n, kChannels);
  const int64_t filter = conv.channels * conv.weight.h * conv.weight.w;
  const ConvPlane plane = {conv.channels,  height,        width,         conv.out_height,
                           conv.out_width, conv.weight.h, conv.weight.w, conv.flip};
  // A sample a thread, or all on each sample.
  const bool across = conv.samples >= static_cast<int64_t>(threads.count());
  const Threads within = across ? Threads(1) : threads;
  parallel_for(static_cast<uint64_t>(conv.samples), across ? threads : Threads(1), [&](uint64_t sample) {
    const int64_t n = static_cast<int64_t>(sample);
    LargeVector placed(static_cast<size_t>(conv.channels * height * width + slack));
    parallel_for(static_cast<uint64_t>(conv.channels), within, [&](uint64_t c) {
      place(k, conv, n, static_cast<int64_t>(c), height, width, placed.data() + c * height * width);
    });
    parallel_for(static_cast<uint64_t>(parts * blocks), within, [&](uint64_t task) {
      const int64_t row = static_cast<int64_t>(task) / blocks * rows, here = std::min(rows, conv.out_height - row);
      const int64_t o = static_cast<int64_t>(task) % blocks * kChannels,
                    channels = std::min(kChannels, conv.weight.n - o);
      const int64_t pitch = here * width + slack, count = here * width - (conv.weight.w - 1);
      float* sums = thread_memory(ThreadMemory::sums, kChannels * pitch);
      k.direct2d(plane, channels, placed.data() + row * width, weight + o * filter, count, sums, pitch);
      finish(k, conv, n, o, channels, row * conv.out_width, here, conv.out_width, width, pitch, sums);
    });
  });
}

void image_conv(const ImageConv& conv, const float* weight, const ConvWeights& prepared, const Threads& threads) {
  const int64_t outputs = winograd_outputs(conv.weight, conv.out_height, conv.out_width, conv.bfloat16);
  if (outputs == 0) return direct_conv(conv, weight, threads);
  winograd_conv(conv, prepared.at_points(weight, outputs, conv.bfloat16, threads), threads);
}

}  // namespace dsb
