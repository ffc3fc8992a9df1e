// The fields of a protobuf message, one after the other: enough to look through an ONNX file.
#pragma once

#include <cstdint>
#include <string_view>

namespace dsb {
namespace capi {

struct Field {
  uint64_t number = 0;
  int wire = 0;  // 0: `value`; 2: `bytes`; 1 and 5: neither is set
  uint64_t value = 0;
  std::string_view bytes;
  std::string_view whole;  // the field with its tag
};

class Fields {
 public:
  explicit Fields(std::string_view message) : left_(message) {}

  // False at the end, and where the bytes are no message; broken() tells the two apart.
  bool next(Field& field) {
    if (left_.empty()) return false;
    const std::string_view from = left_;
    field = {};
    uint64_t tag = 0;
    if (!varint(tag) || tag >> 3 == 0) return fail();
    field.number = tag >> 3;
    field.wire = static_cast<int>(tag & 7);
    uint64_t size = 0;
    switch (field.wire) {
      case 0:
        if (!varint(field.value)) return fail();
        break;
      case 1:
        size = 8;
        break;
      case 2:
        if (!varint(size)) return fail();
        break;
      case 5:
        size = 4;
        break;
      default:
        return fail();
    }
    if (size > left_.size()) return fail();
    if (field.wire == 2) field.bytes = left_.substr(0, size);
    left_.remove_prefix(size);
    field.whole = from.substr(0, from.size() - left_.size());
    return true;
  }

  bool broken() const { return broken_; }

 private:
  bool fail() {
    broken_ = true;
    left_ = {};
    return false;
  }

  bool varint(uint64_t& out) {
    out = 0;
    for (int shift = 0; shift < 64 && !left_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(left_.front());
      left_.remove_prefix(1);
      out |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  std::string_view left_;
  bool broken_ = false;
};

}  // namespace capi
}  // namespace dsb
