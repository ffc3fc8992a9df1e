#include "cuda/conv.h"
#include "cuda/launch.h"
#ifdef __CUDACC__
#include "cuda/conv_ffma.cuh"
#include "cuda/conv_wmma.cuh"
#endif

namespace dsb {
namespace cuda {

#ifdef __CUDACC__
namespace {

unsigned blocks(int64_t count, int size) { return static_cast<unsigned>((count + size - 1) / size); }

// Whether x can be read 16 bytes of channels at a time.
template <typename T>
bool in_vectors(const ConvCall<T>& call) {
  constexpr int64_t kWidth = Pack<T>::kSize;
  const Steps& in = call.geometry.in;
  return in.channel == 1 && call.geometry.in_channels % kWidth == 0 && in.n % kWidth == 0 && in.y % kWidth == 0 &&
         in.x % kWidth == 0 && reinterpret_cast<uintptr_t>(call.x) % 16 == 0;
}

template <typename T>
bool matrix_units() {
  if (std::is_same<T, float>::value) return false;
  int device = 0, major = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  return std::is_same<T, Half>::value || major >= 8;
}

template <typename T, int kColumns>
void launch_ffma(const ConvCall<T>& call, dim3 grid, Stream stream) {
  if (in_vectors(call)) {
    conv_ffma<T, 128, kColumns, true><<<grid, kConvThreads, 0, stream_of(stream)>>>(call);
  } else {
    conv_ffma<T, 128, kColumns, false><<<grid, kConvThreads, 0, stream_of(stream)>>>(call);
  }
}

template <typename T>
void launch_ordinary(const ConvCall<T>& call, dim3 grid, int columns, Stream stream) {
  if (columns == 128) {
    launch_ffma<T, 128>(call, grid, stream);
  } else if (columns == 64) {
    launch_ffma<T, 64>(call, grid, stream);
  } else {
    launch_ffma<T, 16>(call, grid, stream);
  }
}

template <>
void launch_ordinary(const ConvCall<Half>&, dim3, int, Stream) {}  // every device of the build has matrix units for it

template <typename T, int kColumns>
void launch_wmma(const ConvCall<T>& call, dim3 grid, Stream stream) {
  if (in_vectors(call)) {
    conv_wmma<T, kColumns, true><<<grid, kConvThreads, 0, stream_of(stream)>>>(call);
  } else {
    conv_wmma<T, kColumns, false><<<grid, kConvThreads, 0, stream_of(stream)>>>(call);
  }
}

template <typename T>
void launch_matrix(const ConvCall<T>& call, dim3 grid, Stream stream) {
  if (call.geometry.out_channels > 64) {
    launch_wmma<T, 128>(call, grid, stream);
  } else {
    launch_wmma<T, 64>(call, grid, stream);
  }
}

template <>
void launch_matrix(const ConvCall<float>&, dim3, Stream) {}  // which would round to TF32

}  // namespace

template <typename T>
void conv(const ConvCall<T>& call, Stream stream) {
  const ConvGeometry& g = call.geometry;
  if (g.rows() == 0 || g.out_channels == 0) return;
  const auto grid = [&](int rows, int columns) {
    return dim3(blocks(g.rows(), rows), blocks(g.out_channels, columns), static_cast<unsigned>(g.phases()));
  };
  const int wide = g.out_channels > 64 ? 128 : g.out_channels > 16 ? 64 : 16;
  if (matrix_units<T>()) {
    launch_matrix(call, grid(128, wide == 128 ? 128 : 64), stream);
  } else {
    launch_ordinary(call, grid(128, wide), wide, stream);
  }
  check(cudaGetLastError());
}

#else  // the same products and sums, one output after the other

template <typename T>
void conv(const ConvCall<T>& call, Stream) {
  const ConvGeometry& g = call.geometry;
  for (int index = 0; index < g.phases(); ++index)
    for (int row = 0; row < g.rows(); ++row) {
      const ConvPhase phase = g.phase(index);
      const ConvPoint point = g.point(row), origin = g.origin(point, phase);
      ConvPoint to;
      if (!g.target(point, phase, &to)) continue;
      for (int out = 0; out < g.out_channels; ++out) {
        float sum = 0.0f;
        for (int k = 0; k < g.depth(); ++k)
          sum +=
              call.input(origin, k) * to_float(call.weights(index)[static_cast<int64_t>(k) * g.padded_channels + out]);
        call.epilogue.store(g, to, out, sum);
      }
    }
}

#endif

template void conv(const ConvCall<float>&, Stream);
template void conv(const ConvCall<Half>&, Stream);
template void conv(const ConvCall<BFloat16>&, Stream);

}  // namespace cuda
}  // namespace dsb
