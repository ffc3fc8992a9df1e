// Up-sampling layers: samples to the points and places of their tiles, sums of products at each, rows of the transposed
// convolution, and those through the filter with all that follows.
#include <array>

#include "ops/dispatch.h"
#include "ops/image_conv.h"
#include "ops/thread_memory.h"
#include "ops/tiles.h"

namespace dsb {
namespace {

constexpr int64_t kPanelBytes = 1 << 20;    // values and sums of a panel
constexpr int64_t kSharedBytes = 8 << 20;   // weights above this are read by one thread each
constexpr int64_t kSharedTiles = 128;       // whose values are then made before
constexpr int64_t kRowsBytes = 2 << 20;     // rows before the filter that are in memory at once,
constexpr int64_t kSharedRows = 8 << 20;    // and where the weights are so large that many tiles should share them
constexpr int64_t kApart = 16;              // places a power of two apart would fall on the same lines of the cache
constexpr int64_t kBlocksPerTask = 4;       // of output channels
constexpr int64_t kChannelsPerTask = 64;    // of the transform
constexpr int64_t kFilterPositions = 4096;  // of the result, a task
constexpr int64_t kCarried = kFilterTaps - 1, kTileRows = 2 * kPhaseTile;

// Samples that the middle taps of `tiles` tiles meet.
int64_t places(int64_t tile, int64_t tiles, int64_t size) {
  return std::min(kPhaseTile * (tile + tiles) - 1, size) - std::max<int64_t>(0, kPhaseTile * tile - 1);
}

// Of a weight: whether its is the middle tap, down and across.
int64_t kind_of(int64_t weight) { return 2 * (weight / kPhaseSide / 4) + weight % kPhaseSide / 4; }

// Where the values and sums of a panel's pieces lie: kinds by the number of columns and rows that they have.
struct Slots {
  std::array<int64_t, 4> count = {};
  std::vector<std::array<int64_t, 4>> first;  // of every piece
};

class Layer {
 public:
  Layer(const ImageConv& conv, const WinogradWeights& weights, const float* taps_x, const float* taps_y)
      : conv_(conv), weights_(weights), taps_x_(taps_x), taps_y_(taps_y), k_(kernels()) {
    down_ = divide_up(conv.height + 1, kPhaseTile), across_ = divide_up(conv.width + 1, kPhaseTile);
    blocks_in_ = divide_up(conv.channels, kChannelBlock);
    blocks_ = divide_up(conv.weight.n, WinogradWeights::kBlock);
    rows_blocks_ = divide_up(conv.weight.n, kChannelBlock);
    sums_row_ = std::min(WinogradWeights::kBlock, padded_channels(conv.weight.n));
    pitch_ = (across_ * kTileRows + 1) * kChannelBlock;  // an odd number of lines
  }

  void run(const Threads& threads) {
    if (conv_.samples == 0 || conv_.weight.n == 0) return;
    const int64_t row = rows_blocks_ * pitch_, limit = (weights_.bytes() > kSharedBytes ? kSharedRows : kRowsBytes) /
                                                       static_cast<int64_t>(sizeof(float));
    const int64_t whole = row * (kCarried + down_ * kTileRows + 1);
    const int64_t together = std::max<int64_t>(1, std::min(conv_.samples, limit / whole));
    const int64_t band = limit >= whole ? down_ : std::max<int64_t>(1, (limit / row - kCarried - 1) / kTileRows);
    plane_ = (kCarried + band * kTileRows + 1) * pitch_;
    rows_ = thread_memory(ThreadMemory::rows, together * rows_blocks_ * plane_);
    for (first_ = 0; first_ < conv_.samples; first_ += together) {
      samples_ = std::min(together, conv_.samples - first_);
      for (begin_ = 0; begin_ < down_; begin_ = end_) {
        end_ = std::min(down_, begin_ + band);
        make_rows(threads);
        filter(threads);
        if (end_ < down_) carry(threads);
      }
    }
  }

 private:
  float* rows_of(int64_t sample, int64_t block) const { return rows_ + (sample * rows_blocks_ + block) * plane_; }

  Slots slots_of(const Panel& panel) const {
    Slots slots;
    for (const Piece& piece : panel.pieces) {
      slots.first.push_back(slots.count);
      const int64_t down[2] = {piece.rows, places(begin_ + piece.row, piece.rows, conv_.height)};
      const int64_t across[2] = {piece.columns, places(piece.column, piece.columns, conv_.width)};
      for (size_t kind = 0; kind < 4; ++kind) slots.count[kind] += down[kind / 2] * across[kind % 2];
    }
    return slots;
  }

  // Floats of all weights' slots of `width` each, and where one weight's begin.
  static int64_t places_of(const Slots& slots, int64_t width, int64_t* at) {
    int64_t size = 0;
    for (int64_t w = 0; w < kPhaseWeights; ++w) {
      at[w] = size;
      size += slots.count[static_cast<size_t>(kind_of(w))] * width + kApart;
    }
    return size;
  }

  PhaseTiles tiles_of(const Slots& slots, const Panel& panel, size_t index, int64_t width, int64_t step) const {
    const Piece& piece = panel.pieces[index];
    PhaseTiles t = {};
    t.channel = conv_.height * conv_.width, t.height = conv_.height, t.width = conv_.width;
    t.row = begin_ + piece.row, t.column = piece.column, t.rows = piece.rows, t.columns = piece.columns;
    t.step = step;
    places_of(slots, width, t.at);
    for (int64_t w = 0; w < kPhaseWeights; ++w) t.at[w] += slots.first[index][static_cast<size_t>(kind_of(w))] * step;
    return t;
  }

  // Channels [first, first + count), whole blocks, of one piece.
  void forward(const Panel& panel, const Slots& slots, size_t index, int64_t first, int64_t count, float* v) const {
    PhaseTiles t = tiles_of(slots, panel, index, blocks_in_ * kChannelBlock, kChannelBlock);
    for (size_t kind = 0; kind < 4; ++kind) t.block[kind] = slots.count[kind] * kChannelBlock;
    for (int64_t w = 0; w < kPhaseWeights; ++w) t.at[w] += first / kChannelBlock * t.block[kind_of(w)];
    t.channels = std::min(count, conv_.channels - first);
    const int64_t sample = first_ + panel.pieces[index].sample;
    const float* styles = conv_.styles ? conv_.styles + sample * conv_.style_step + first : nullptr;
    const int64_t strip = (kPhaseTile + 1) * (kPhaseTile * t.columns + 1) * kChannelBlock;
    k_.phase_forward(t, conv_.x + sample * conv_.x_step + first * t.channel, styles,
                     thread_memory(ThreadMemory::strip, strip), v);
  }

  // Blocks [first, end) of output channels, weight by weight, so that its values are in the cache for all but the
  // first.
  void blocks(const Panel& panel, const Slots& slots, int64_t first, int64_t end, const float* v) const {
    int64_t v_at[kPhaseWeights], m_at[kPhaseWeights];
    places_of(slots, blocks_in_ * kChannelBlock, v_at);
    const int64_t size = places_of(slots, sums_row_, m_at);
    float* m = thread_memory(ThreadMemory::sums, (end - first) * size);
    WinogradProduct product = {};
    product.channels = conv_.channels, product.out_tile = sums_row_;
    for (int64_t w = 0; w < kPhaseWeights; ++w) {
      product.tiles = slots.count[static_cast<size_t>(kind_of(w))], product.v_block = product.tiles * kChannelBlock;
      for (int64_t b = first; b < end; ++b) {
        product.rows = weights_.rows(b);
        k_.winograd_product(product, v + v_at[w], weights_.at(b, w), m + (b - first) * size + m_at[w]);
      }
    }
    for (size_t index = 0; index < panel.pieces.size(); ++index) {
      const PhaseTiles t = tiles_of(slots, panel, index, sums_row_, sums_row_);
      for (int64_t b = first; b < end; ++b)
        for (int64_t half = 0; half < weights_.rows(b); half += kChannelBlock)
          inverse(t, panel.pieces[index].sample, b * (WinogradWeights::kBlock / kChannelBlock) + half / kChannelBlock,
                  m + (b - first) * size + half);
    }
  }

  void inverse(const PhaseTiles& t, int64_t sample, int64_t block, const float* m) const {
    float* out = rows_of(sample, block) + (kCarried + (t.row - begin_) * kTileRows) * pitch_ +
                 t.column * kTileRows * kChannelBlock;
    k_.phase_inverse(t, m, pitch_, out);
    // The convolution's last row and column may be zeros beyond the tiles.
    const int64_t wide = t.columns * kTileRows * kChannelBlock;
    const bool last = t.column + t.columns == across_;
    if (last)
      for (int64_t r = 0; r < t.rows * kTileRows; ++r) std::fill_n(out + r * pitch_ + wide, kChannelBlock, 0.0f);
    if (t.row + t.rows == down_)
      std::fill_n(out + t.rows * kTileRows * pitch_, wide + (last ? kChannelBlock : 0), 0.0f);
  }

  // The band's rows before the filter.
  void make_rows(const Threads& threads) {
    const int64_t tiles = samples_ * (end_ - begin_) * across_;
    const bool shared = weights_.bytes() > kSharedBytes || tiles < 12 * static_cast<int64_t>(threads.count());
    if (!shared) {  // each thread takes panels of tiles through the whole layer
      const int64_t tile = (kPhaseTile + 4) * (kPhaseTile + 4) *
                           (blocks_in_ * kChannelBlock + rows_blocks_ * kChannelBlock) *
                           static_cast<int64_t>(sizeof(float));
      const std::vector<Panel> panels =
          cut(samples_, end_ - begin_, across_, std::max<int64_t>(12, kPanelBytes / tile));
      parallel_for(panels.size(), threads, [&](uint64_t task) {
        const Panel& panel = panels[task];
        const Slots slots = slots_of(panel);
        int64_t at[kPhaseWeights];
        float* v = thread_memory(ThreadMemory::values, places_of(slots, blocks_in_ * kChannelBlock, at));
        for (size_t index = 0; index < panel.pieces.size(); ++index) forward(panel, slots, index, 0, conv_.channels, v);
        blocks(panel, slots, 0, blocks_, v);
      });
      return;
    }
    for (const Panel& panel : cut(samples_, end_ - begin_, across_, kSharedTiles)) {
      const Slots slots = slots_of(panel);
      int64_t at[kPhaseWeights];
      float* v = thread_memory(ThreadMemory::values, places_of(slots, blocks_in_ * kChannelBlock, at));
      const int64_t groups = divide_up(conv_.channels, kChannelsPerTask);
      parallel_for(static_cast<uint64_t>(groups) * panel.pieces.size(), threads, [&](uint64_t task) {
        forward(panel, slots, task / static_cast<uint64_t>(groups),
                static_cast<int64_t>(task) % groups * kChannelsPerTask, kChannelsPerTask, v);
      });
      const int64_t share = blocks_ / static_cast<int64_t>(threads.count());
      const int64_t group = std::max<int64_t>(1, std::min(kBlocksPerTask, share));
      parallel_for(static_cast<uint64_t>(divide_up(blocks_, group)), threads, [&](uint64_t task) {
        const int64_t first = static_cast<int64_t>(task) * group;
        blocks(panel, slots, first, std::min(blocks_, first + group), v);
      });
    }
  }

  // All results whose rows are there.
  void filter(const Threads& threads) const {
    const int64_t width = conv_.out_width, area = conv_.out_height * width;
    const int64_t first = begin_ ? begin_ * kTileRows - kCarried : 0;
    const int64_t end = end_ < down_ ? end_ * kTileRows - kCarried : conv_.out_height;
    const int64_t rows = std::max<int64_t>(1, kFilterPositions / width), chunks = divide_up(end - first, rows);
    const int64_t strip = (kStripTiles + 2 * width + kChannelBlock) * kChannelBlock;
    parallel_for(static_cast<uint64_t>(samples_ * rows_blocks_ * chunks), threads, [&](uint64_t task) {
      const int64_t plane = static_cast<int64_t>(task) / chunks, block = plane % rows_blocks_;
      const int64_t sample = plane / rows_blocks_, n = first_ + sample, o = block * kChannelBlock;
      PhaseFilter f = {};
      std::copy_n(taps_y_, kFilterTaps, f.taps_y), std::copy_n(taps_x_, kFilterTaps, f.taps_x);
      f.row = first + static_cast<int64_t>(task) % chunks * rows, f.rows = std::min(rows, end - f.row);
      f.channels = std::min(kChannelBlock, conv_.weight.n - o), f.plane = area;
      f.width = width, f.pitch = pitch_;
      ConvEpilogue e = conv_.epilogue;
      e.factor = conv_.factors ? conv_.factors + n * conv_.factor_step + o : nullptr;
      if (e.noise) e.noise += n * conv_.noise_step;
      if (e.noise_gain) e.noise_gain += o;
      if (e.bias) e.bias += o;
      const int64_t to = (n * conv_.weight.n + o) * area;
      if (e.residual) e.residual += to;
      k_.phase_filter(f, e, rows_of(sample, block) + (f.row - begin_ * kTileRows + kCarried) * pitch_,
                      thread_memory(ThreadMemory::strip, strip), conv_.out + to);
    });
  }

  // The last rows are the first of the next band.
  void carry(const Threads& threads) const {
    parallel_for(static_cast<uint64_t>(samples_ * rows_blocks_), threads, [&](uint64_t plane) {
      float* rows = rows_ + static_cast<int64_t>(plane) * plane_;
      std::copy_n(rows + (end_ - begin_) * kTileRows * pitch_, kCarried * pitch_, rows);
    });
  }

  const ImageConv& conv_;
  const WinogradWeights& weights_;
  const float *taps_x_, *taps_y_;
  const Kernels& k_;
  int64_t down_, across_;  // tiles
  int64_t blocks_in_, blocks_, rows_blocks_, sums_row_, pitch_;
  int64_t plane_ = 0;  // of the rows of a block of channels
  float* rows_ = nullptr;
  int64_t first_ = 0, samples_ = 0;  // whose rows are in memory
  int64_t begin_ = 0, end_ = 0;      // tiles down
};

}  // namespace

void phase_conv(const ImageConv& conv, const WinogradWeights& weights, const float* taps_x, const float* taps_y,
                const Threads& threads) {
  Layer(conv, weights, taps_x, taps_y).run(threads);
}

}  // namespace dsb
