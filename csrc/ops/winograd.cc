// Winograd layers: inputs to the points, sums of products at each, back to outputs with all that follows.
#include <algorithm>

#include "ops/dispatch.h"
#include "ops/image_conv.h"
#include "ops/thread_memory.h"
#include "ops/tiles.h"
#include "ops/work.h"

namespace dsb {
namespace {

constexpr int64_t kPanelBytes = 600 << 10;  // values and sums at the points that stay in the second-level cache
constexpr int64_t kSharedBytes = 2 << 20;   // weights above this are read by one thread each
constexpr int64_t kSharedTiles = 128;       // whose values at the points are then made before
constexpr int64_t kApart = 16;              // points a power of two apart would fall on the same lines of the cache
constexpr int64_t kBlocksPerTask = 4;       // of output channels
constexpr int64_t kChannelsPerTask = 64;    // of the transform

class Layer {
 public:
  Layer(const ImageConv& conv, const WinogradWeights& weights)
      : conv_(conv), weights_(weights), k_(kernels()), side_(weights.outputs()), points_((side_ + 2) * (side_ + 2)) {
    blocks_in_ = divide_up(conv.channels, kChannelBlock);
    blocks_out_ = divide_up(conv.weight.n, WinogradWeights::kBlock);
    sums_row_ = std::min(WinogradWeights::kBlock, padded_channels(conv.weight.n));
    m_tile_ = points_ * sums_row_ + kApart;  // an odd number of lines
  }

  int64_t blocks_out() const { return blocks_out_; }
  int64_t tile_bytes() const {
    return (points_ * blocks_in_ * kChannelBlock / (conv_.bfloat16 ? 2 : 1) + m_tile_) *
           static_cast<int64_t>(sizeof(float));
  }
  // Floats whose memory the values of so many tiles take.
  int64_t values(int64_t tiles) const { return points_ * v_point(tiles) / (conv_.bfloat16 ? 2 : 1); }

  // Channels [first, first + count), whole blocks, of one piece to the points.
  void forward(const Panel& panel, const Piece& piece, int64_t first, int64_t count, float* v) const {
    const int64_t area = conv_.height * conv_.width, block = blocked_plane(conv_.height, conv_.width);
    WinogradForward f = {};
    f.outputs = side_;
    f.channels = std::min(count, conv_.channels - first), f.channel = conv_.blocked ? block : area;
    f.height = conv_.height, f.width = conv_.width;
    f.top = piece.row * side_ - conv_.top, f.left = piece.column * side_ - conv_.left;
    f.rows = piece.rows, f.columns = piece.columns;
    f.v_block = panel.tiles * kChannelBlock, f.v_point = v_point(panel.tiles);
    const float* styles = conv_.styles ? conv_.styles + piece.sample * conv_.style_step + first : nullptr;
    f.enlarged = conv_.enlarged, f.blocked = conv_.blocked;
    const int64_t columns = piece.columns * side_ + 2, halves = f.enlarged ? 3 * (columns / 2 + 4) : 0;
    const int64_t strip = ((side_ + 2) * columns + halves) * kChannelBlock;
    const float* x = conv_.x + piece.sample * conv_.x_step + (f.blocked ? first / kChannelBlock * block : first * area);
    const int64_t place = first / kChannelBlock * f.v_block + piece.tile * kChannelBlock;
    float* rows = thread_memory(ThreadMemory::strip, strip);
    if (conv_.bfloat16)
      k_.winograd_forward_bf16(f, x, styles, rows, reinterpret_cast<bfloat16*>(v) + place);
    else
      k_.winograd_forward(f, x, styles, rows, v + place);
  }

  // Blocks [first, end) of output channels, at all of the panel's tiles: point by point, so that the values at a point
  // are in the cache for all but the first of them.
  void blocks(const Panel& panel, int64_t first, int64_t end, const float* v) const {
    const int64_t block_sums = panel.tiles * m_tile_;
    float* m = thread_memory(ThreadMemory::sums, (end - first) * block_sums);
    WinogradProduct product = {};
    product.channels = conv_.channels, product.v_block = panel.tiles * kChannelBlock;
    product.tiles = panel.tiles, product.out_tile = m_tile_;
    for (int64_t p = 0; p < points_; ++p)
      for (int64_t b = first; b < end; ++b) {
        product.rows = weights_.rows(b);
        float* to = m + (b - first) * block_sums + p * sums_row_;
        const int64_t place = p * v_point(panel.tiles);
        if (conv_.bfloat16)
          k_.winograd_product_bf16(product, reinterpret_cast<const bfloat16*>(v) + place, weights_.pairs_at(b, p), to);
        else
          k_.winograd_product(product, v + place, weights_.at(b, p), to);
      }
    for (int64_t b = first; b < end; ++b)
      for (const Piece& piece : panel.pieces) inverse(piece, b * WinogradWeights::kBlock, m + (b - first) * block_sums);
  }

 private:
  int64_t v_point(int64_t tiles) const {
    return blocks_in_ * tiles * kChannelBlock + (conv_.bfloat16 ? 2 : 1) * kApart;
  }

  void inverse(const Piece& piece, int64_t o, const float* m) const {
    const int64_t area = conv_.out_height * conv_.out_width, sample = piece.sample * conv_.weight.n * area + o * area;
    const int64_t block = blocked_plane(conv_.out_height, conv_.out_width);
    WinogradInverse v = {};
    v.outputs = side_;
    v.channels = std::min(WinogradWeights::kBlock, conv_.weight.n - o), v.plane = area;
    v.height = conv_.out_height, v.width = conv_.out_width;
    v.top = piece.row * side_, v.left = piece.column * side_;
    v.rows = piece.rows, v.columns = piece.columns;
    v.m_tile = m_tile_, v.m_point = sums_row_;
    v.blocked = conv_.blocked_out;
    if (v.blocked) v.plane = block;
    ConvEpilogue e = conv_.epilogue;
    e.factor = conv_.factors ? conv_.factors + piece.sample * conv_.factor_step + o : nullptr;
    if (e.noise) e.noise += piece.sample * conv_.noise_step;
    if (e.noise_gain) e.noise_gain += o;
    if (e.bias) e.bias += o;
    if (e.residual) e.residual += sample;
    const int64_t strip = (std::max(kStripTiles, piece.columns) * side_ * side_ + kChannelBlock) * kChannelBlock;
    if (conv_.colours.count) {
      v.colours = conv_.colours;
      v.colours.styles += piece.sample * conv_.weight.n;
      const int64_t image = piece.sample * v.colours.count * area;
      if (v.colours.residual) v.colours.residual += image;
      return k_.winograd_inverse(v, e, m + piece.tile * m_tile_, thread_memory(ThreadMemory::strip, strip),
                                 conv_.out + image);
    }
    float* out =
        conv_.out + (v.blocked ? (piece.sample * padded_channels(conv_.weight.n) + o) / kChannelBlock * block : sample);
    k_.winograd_inverse(v, e, m + piece.tile * m_tile_, thread_memory(ThreadMemory::strip, strip), out);
  }

  const ImageConv& conv_;
  const WinogradWeights& weights_;
  const Kernels& k_;
  int64_t side_, points_, blocks_in_, blocks_out_, sums_row_, m_tile_;
};

}  // namespace

bool winograd_shares_weights(const Shape4& weight, int64_t outputs, bool bfloat16) {
  const int64_t points = (outputs + 2) * (outputs + 2), size = static_cast<int64_t>(sizeof(float)) / (bfloat16 ? 2 : 1);
  return padded_channels(weight.n) * weight.c * points * size > kSharedBytes;
}

void winograd_conv(const ImageConv& conv, const WinogradWeights& weights, const Threads& threads) {
  const Layer layer(conv, weights);
  const int64_t side = weights.outputs();
  const int64_t rows = divide_up(conv.out_height, side), columns = divide_up(conv.out_width, side);
  const int64_t all = conv.samples * rows * columns;
  if (all == 0) return;
  const bool shared = weights.bytes() > kSharedBytes || all < 12 * static_cast<int64_t>(threads.count());
  if (!shared) {  // each thread takes panels of tiles through the whole layer
    const std::vector<Panel> panels =
        cut(conv.samples, rows, columns, std::max<int64_t>(12, kPanelBytes / layer.tile_bytes()));
    parallel_for(panels.size(), threads, [&](uint64_t task) {
      const Panel& panel = panels[task];
      float* v = thread_memory(ThreadMemory::values, layer.values(panel.tiles));
      for (const Piece& piece : panel.pieces) layer.forward(panel, piece, 0, conv.channels, v);
      for (int64_t b = 0; b < layer.blocks_out(); ++b) layer.blocks(panel, b, b + 1, v);
    });
    return;
  }
  for (const Panel& panel : cut(conv.samples, rows, columns, kSharedTiles)) {
    float* v = thread_memory(ThreadMemory::values, layer.values(panel.tiles));
    const int64_t groups = divide_up(conv.channels, kChannelsPerTask),
                  pieces = static_cast<int64_t>(panel.pieces.size());
    parallel_for(static_cast<uint64_t>(groups * pieces), threads, [&](uint64_t task) {
      layer.forward(panel, panel.pieces[task / groups], static_cast<int64_t>(task % groups) * kChannelsPerTask,
                    kChannelsPerTask, v);
    });
    const int64_t blocks = layer.blocks_out(), share = blocks / static_cast<int64_t>(threads.count());
    const int64_t group = std::max<int64_t>(1, std::min(kBlocksPerTask, share));
    parallel_for(static_cast<uint64_t>(divide_up(blocks, group)), threads, [&](uint64_t task) {
      const int64_t first = static_cast<int64_t>(task) * group;
      layer.blocks(panel, first, std::min(blocks, first + group), v);
    });
  }
}

}  // namespace dsb
