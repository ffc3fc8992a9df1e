// Division by a number that is known before a kernel starts: a product and a shift in place of some twenty
// instructions.
#pragma once

#include <cstdint>

#include "cuda/host_device.h"

namespace dsb {
namespace cuda {

// Exact for numbers below 2^31 and divisors from 1 to 2^31 - 1 (Granlund and Montgomery, PLDI 1994, figure 4.1).
class Divisor {
 public:
  Divisor() = default;
  explicit Divisor(uint32_t value) : value_(value) {
    while ((uint64_t{1} << shift_) < value) ++shift_;
    multiplier_ = static_cast<uint32_t>((((uint64_t{1} << shift_) - value) << 32) / value + 1);
  }

  DSB_HD uint32_t divide(uint32_t number) const {
    const auto high = static_cast<uint32_t>((static_cast<uint64_t>(multiplier_) * number) >> 32);
    return (high + number) >> shift_;
  }

  // The quotient; `number` becomes the remainder.
  DSB_HD uint32_t take(uint32_t& number) const {
    const uint32_t quotient = divide(number);
    number -= quotient * value_;
    return quotient;
  }

 private:
  uint32_t value_ = 1, multiplier_ = 1, shift_ = 0;
};

}  // namespace cuda
}  // namespace dsb
