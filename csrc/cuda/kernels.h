// The kernels of the GPU, each one function that starts it on a stream. Built by nvcc they run on the current device
// and return at once; built by another compiler, for tests, they are loops on the host and have finished.
//
// All of them: pointers are device memory (host memory in the host build), dense, and stay valid until the stream is
// done; results overlap no input. Sizes of zero do nothing. They throw std::length_error for tensors of more than 2^32
// values, std::runtime_error if CUDA refuses the launch. Safe to call from several threads.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"
#include "ops/upfirdn2d.h"

namespace dsb {
namespace cuda {

using Stream = void*;  // cudaStream_t; the host build ignores it

enum class Type : int { float32, float16, bfloat16 };

// Nothing where data is null.
struct Array {
  const void* data = nullptr;
  Type type = Type::float32;
};

// An input that has a row for each sample, or one row for all of them.
struct Rows {
  Array array;
  bool shared = false;
};

// [N, H, W, C] as it lies in memory, or [N, C, H, W].
struct Image {
  int64_t n, c, h, w;
  bool channels_first;
  int64_t size() const { return n * c * h * w; }
};

// ---- random numbers (docs/identity.md): the same bits as the CPU's

struct Random {
  uint64_t seed = 0, start = 0, count = 0;
  uint32_t stream = 0;
  uint64_t elements = 0;  // values a sample, at most 2^34
  uint64_t channels = 1;  // more: a sample of [channels, length] is written as [length, channels]
  // Where not null, seed and start are read from here, when the kernel runs.
  const uint64_t *seed_at = nullptr, *start_at = nullptr;
};

void philox_uniform(const Random& random, float low, float span, Stream stream, float* out);
void philox_normal(const Random& random, Stream stream, float* out);

// ---- around convolutions

// v = x * demodulation + plane * plane_weight + bias; v = act(v) * gain, held to +-clamp if that is not negative;
// y = v + residual; scaled = y * scale, before y is rounded. What is missing is left out. x, residual, y and scaled are
// of `type`; any may have one sample for all.
struct Epilogue {
  Image shape;  // of y
  Type type;
  Rows x, residual;               // [N, ...] as shape says
  Rows demodulation, scale;       // [N, C]
  Rows plane;                     // [N, H, W]
  Array plane_weight, bias;       // [C]
  bool one_plane_weight = false;  // a single weight for all channels
  ActivationOptions activation = {Activation::linear, 0.0f, 1.0f, -1.0f};
};

// y or scaled may be null, not both; scaled needs scale.
void epilogue(const Epilogue& what, Stream stream, void* y, void* scaled);

// y [N, 2 H, 2 W, C] in `in`'s layout: bilinear, corners not aligned, edges clamped, times scale [N, C] if there is
// one.
void upsample_bilinear2d(const Image& in, Type type, const void* x, const Rows& scale, Stream stream, void* y);

// Most taps of a filter: they travel with the launch.
constexpr int64_t kMaxTaps = 576;

// csrc/ops/upfirdn2d.h says what it computes, and the result's shape; the steps' taps are host memory and are copied.
// Sums are float32's. Throws std::invalid_argument for a filter of more than kMaxTaps taps, or no result.
void upfirdn2d(const Image& in, Type type, const void* x, const FilterSteps& steps, Stream stream, void* y);

// ---- what leaves the device

// signal * scale, cut toward zero and saturated to int16. signal is [n, c, l], or [n, l, c] if channels_last; out is
// [n, c, l] either way. What is not a number becomes 0 and is counted in *not_numbers, unless that is null.
void to_microvolt(Array signal, int64_t n, int64_t c, int64_t l, bool channels_last, float scale, Stream stream,
                  int16_t* out, int32_t* not_numbers);

// image * scale + offset, held to 0..255 and cut down; out is [N, H, W, C] whatever the image's layout. Likewise.
void to_uint8(Array image, const Image& shape, float scale, float offset, Stream stream, uint8_t* out,
              int32_t* not_numbers);

}  // namespace cuda
}  // namespace dsb
