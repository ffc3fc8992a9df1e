#include "cuda/conv.h"
#include "cuda/launch.h"

namespace dsb {
namespace cuda {

template <typename T>
void pack_weights(const PackWeights<T>& pack, Stream stream) {
  for_each(pack.count(), pack, stream);
}

template <typename T>
void square_weights(const WeightSquares<T>& squares, Stream stream) {
  for_each(squares.count(), squares, stream);
}

template <typename T>
void gather(const View& from, bool channels_last, Stream stream, T* to) {
  for_each(from.shape.size(), Gather<T>{from, channels_last, to}, stream);
}

void prepare_styles(const PrepareStyles& styles, Stream stream) {
  for_each(styles.styles.shape.size(), styles, stream);
}

void demodulate(const Demodulation& demodulation, int64_t batch, Stream stream) {
  for_each(batch * demodulation.out_channels, demodulation, stream);
}

#define DSB_PREPARE(T)                                           \
  template void pack_weights(const PackWeights<T>&, Stream);     \
  template void square_weights(const WeightSquares<T>&, Stream); \
  template void gather(const View&, bool, Stream, T*);
DSB_PREPARE(float)
DSB_PREPARE(Half)
DSB_PREPARE(BFloat16)
#undef DSB_PREPARE

}  // namespace cuda
}  // namespace dsb
