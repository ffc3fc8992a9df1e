// SHA-256 (FIPS 180-4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace dsb {
namespace capi {

class Sha256 {
 public:
  void update(const void* data, size_t size);
  // In hexadecimal; the object is of no use after that.
  std::string hex();

 private:
  void block(const unsigned char* data);

  uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  unsigned char pending_[64];
  size_t pending_size_ = 0;
  uint64_t total_ = 0;
};

}  // namespace capi
}  // namespace dsb
