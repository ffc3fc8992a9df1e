// What a trainer's loop sees of ImageSource: epochs of batches. Prints each batch's mean grey level and writes the
// first image of each as a PPM picture.
//
// image_source gitract.onnx BATCHES BATCH_SIZE FOLDER [RANK WORLD]
#include "image_source.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <string>

namespace {

constexpr std::uint64_t kSeed = 1;
constexpr int kEpochs = 2;

// The colours; transparency, where there is some, is left out.
void write_ppm(const std::string& path, const std::uint8_t* image, const ImageSource& source) {
  std::ofstream file(path, std::ios::binary);
  file << "P6\n" << source.width() << ' ' << source.height() << "\n255\n";
  for (std::int64_t pixel = 0; pixel < source.width() * source.height(); ++pixel)
    file.write(reinterpret_cast<const char*>(image + pixel * source.channels()), 3);
  if (!file.flush()) throw std::runtime_error(path + ": it can't be written");
}

void run(char** words, std::uint64_t rank, std::uint64_t world) {
  const unsigned long batches = std::strtoul(words[2], nullptr, 10);
  ImageSource source(words[1], kSeed, std::strtoul(words[3], nullptr, 10), rank, world);
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    source.set_epoch(static_cast<std::uint64_t>(epoch));
    for (unsigned long batch = 0; batch < batches; ++batch) {
      const auto images = source.next();
      const auto sum = std::accumulate(images.begin(), images.end(), std::uint64_t{0});
      std::printf("epoch %d batch %lu: sum %llu, mean %.3f\n", epoch, batch, static_cast<unsigned long long>(sum),
                  static_cast<double>(sum) / static_cast<double>(images.size()));
      const std::string name = std::to_string(epoch) + "-" + std::to_string(batch) + ".ppm";
      write_ppm(std::string(words[4]) + "/" + name, images.data(), source);
    }
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 5 && count != 7) {
    std::fprintf(stderr, "usage: image_source MODEL.onnx BATCHES BATCH_SIZE FOLDER [RANK WORLD]\n");
    return 2;
  }
  const bool is_rank = count == 7;
  try {
    run(words, is_rank ? std::strtoull(words[5], nullptr, 10) : 0, is_rank ? std::strtoull(words[6], nullptr, 10) : 1);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "image_source: %s\n", error.what());
    return 1;
  }
}
