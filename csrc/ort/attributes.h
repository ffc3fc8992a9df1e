// A node's attributes, checked: what a model file says is not trusted.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/kernels.h"
#include "ort/library.h"

namespace dsb {
namespace ort {

// Factors and padding beyond these are refused, so that sizes computed from them fit 64 bits.
constexpr int64_t kMaxFactor = 1024, kMaxPadding = 1 << 20;

// Every getter throws std::invalid_argument, naming operator and attribute, for one of another type, out of range or
// not finite, and, unless it has an `otherwise`, for one that is missing.
class Attributes {
 public:
  Attributes(const Ort::ConstKernelInfo& info, std::string op) : info_(info), op_(std::move(op)) {}

  int64_t integer(const char* name, int64_t least, int64_t most, std::optional<int64_t> otherwise) const;
  bool flag(const char* name, bool otherwise) const { return integer(name, 0, 1, otherwise) != 0; }
  float number(const char* name, std::optional<float> otherwise) const;
  std::string text(const char* name, const char* otherwise) const;
  // `count` integers, or if that is 0 any number of them but none.
  std::vector<int64_t> integers(const char* name, size_t count, int64_t least, int64_t most,
                                std::optional<std::vector<int64_t>> otherwise) const;
  // act, alpha, gain, clamp: StyleGAN2-ADA's defaults for the activation, or `gain` whatever it is; no clamp.
  ActivationOptions activation(std::optional<float> gain = {}) const;

  // products: whether they are of bfloat16, from "float32" (if missing) or "bfloat16".
  bool bfloat16_products() const;

  const std::string& op() const { return op_; }

 private:
  bool exists(const char* name) const;
  [[noreturn]] void refuse(const char* name, const std::string& what) const;

  Ort::ConstKernelInfo info_;
  std::string op_;
};

}  // namespace ort
}  // namespace dsb
