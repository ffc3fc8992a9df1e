// A data source of synthetic images inside a training or test program: batches without end, no file, no other process.
#pragma once

#include <cstdint>
#include <dsb_fast/dsb_fast.hpp>
#include <string>
#include <vector>

// Batches of uint8 [batch][height][width][channels]. The k-th batch of a rank begins with sample
// (k * world + rank) * batch_size of seed + epoch: no rank has another's images, every epoch has fresh ones, and each
// of them can be made again.
class ImageSource {
 public:
  // `path` is any StyleGAN2 file that `dsb-fast export` wrote.
  ImageSource(const std::string& path, std::uint64_t seed, std::uint64_t batch_size, std::uint64_t rank = 0,
              std::uint64_t world = 1)
      : model_(path), seed_(seed), batch_size_(batch_size), rank_(rank), world_(world) {
    const dsb_layout layout = model_.layout({}, DSB_FORMAT_UINT8_HWC);
    height_ = layout.shape[0];
    width_ = layout.shape[1];
    channels_ = layout.shape[2];
    batch_.resize(batch_size * layout.bytes);
  }

  std::int64_t height() const { return height_; }
  std::int64_t width() const { return width_; }
  std::int64_t channels() const { return channels_; }
  std::size_t image_size() const { return batch_.size() / batch_size_; }

  void set_epoch(std::uint64_t epoch) {
    epoch_ = epoch;
    next_ = 0;
  }

  // The next batch, there until the next call.
  dsb_fast::span<const std::uint8_t> next() {
    dsb_fast::Request request;
    request.seed = seed_ + epoch_;
    request.start = (next_++ * world_ + rank_) * batch_size_;
    request.count = batch_size_;
    model_.generate(request, dsb_fast::span<std::uint8_t>(batch_));
    return {batch_.data(), batch_.size()};
  }

 private:
  dsb_fast::Model model_;
  std::uint64_t seed_, batch_size_, rank_, world_;
  std::int64_t height_ = 0, width_ = 0, channels_ = 0;
  std::uint64_t epoch_ = 0, next_ = 0;
  std::vector<std::uint8_t> batch_;
};
