#include "capi/json.h"

#include <cctype>
#include <cstdint>
#include <cstring>
#include <locale>
#include <sstream>

namespace dsb {
namespace capi {
namespace {

constexpr int kMaxDepth = 32;

class Parser {
 public:
  explicit Parser(const std::string& text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool whole(Json& out) { return value(out, 0) && (skip(), at_ == end_); }

 private:
  void skip() {
    while (at_ != end_ && std::strchr(" \t\r\n", *at_) && *at_) ++at_;
  }

  bool take(char c) {
    skip();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  bool word(const char* text) {
    const size_t size = std::strlen(text);
    if (static_cast<size_t>(end_ - at_) < size || std::memcmp(at_, text, size) != 0) return false;
    at_ += size;
    return true;
  }

  bool value(Json& out, int depth) {
    skip();
    if (at_ == end_ || depth > kMaxDepth) return false;
    switch (*at_) {
      case '{':
        return object(out, depth);
      case '[':
        return list(out, depth);
      case '"':
        out.kind = Json::Kind::text;
        return text(out.text);
      case 't':
      case 'f':
        out.kind = Json::Kind::boolean;
        out.boolean = *at_ == 't';
        return word(out.boolean ? "true" : "false");
      case 'n':
        return word("null");
      default:
        return number(out);
    }
  }

  bool object(Json& out, int depth) {
    out.kind = Json::Kind::object;
    ++at_;
    if (take('}')) return true;
    do {
      std::string name;
      Json member;
      skip();
      if (!text(name) || !take(':') || !value(member, depth + 1)) return false;
      out.object.emplace_back(std::move(name), std::move(member));
    } while (take(','));
    return take('}');
  }

  bool list(Json& out, int depth) {
    out.kind = Json::Kind::list;
    ++at_;
    if (take(']')) return true;
    do {
      out.list.emplace_back();
      if (!value(out.list.back(), depth + 1)) return false;
    } while (take(','));
    return take(']');
  }

  bool number(Json& out) {
    const char* first = at_;
    while (at_ != end_ && (std::isdigit(static_cast<unsigned char>(*at_)) || std::strchr("+-.eE", *at_)) && *at_) ++at_;
    std::istringstream stream(std::string(first, at_));
    stream.imbue(std::locale::classic());  // whatever the program's locale writes numbers like
    out.kind = Json::Kind::number;
    return first != at_ && stream >> out.number && stream.peek() == std::istringstream::traits_type::eof();
  }

  bool hexadecimal(uint32_t& out) {
    if (end_ - at_ < 4) return false;
    out = 0;
    for (int k = 0; k < 4; ++k, ++at_) {
      const char* digits = "0123456789abcdef";
      const char* found = *at_ ? std::strchr(digits, std::tolower(static_cast<unsigned char>(*at_))) : nullptr;
      if (!found) return false;
      out = out * 16 + static_cast<uint32_t>(found - digits);
    }
    return true;
  }

  bool escape(std::string& out) {
    if (at_ == end_) return false;
    const char c = *at_++;
    constexpr const char* kLetters = "\"\\/bfnrt";
    if (const char* found = c ? std::strchr(kLetters, c) : nullptr) {
      out += "\"\\/\b\f\n\r\t"[found - kLetters];
      return true;
    }
    uint32_t code = 0, low = 0;
    if (c != 'u' || !hexadecimal(code)) return false;
    if (code >= 0xD800 && code < 0xDC00) {
      if (!word("\\u") || !hexadecimal(low) || low < 0xDC00 || low > 0xDFFF) return false;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
      return false;
    }
    append_utf8(out, code);
    return true;
  }

  static void append_utf8(std::string& out, uint32_t code) {
    const auto byte = [&out](uint32_t value) { out += static_cast<char>(value); };
    if (code < 0x80) return byte(code);
    if (code < 0x800) {
      byte(0xC0 | code >> 6);
    } else {
      if (code < 0x10000) {
        byte(0xE0 | code >> 12);
      } else {
        byte(0xF0 | code >> 18);
        byte(0x80 | (code >> 12 & 0x3F));
      }
      byte(0x80 | (code >> 6 & 0x3F));
    }
    byte(0x80 | (code & 0x3F));
  }

  bool text(std::string& out) {
    if (at_ == end_ || *at_ != '"') return false;
    for (++at_; at_ != end_; ++at_) {
      if (*at_ == '"') return ++at_, true;
      if (static_cast<unsigned char>(*at_) < 0x20) return false;
      if (*at_ != '\\') {
        out += *at_;
        continue;
      }
      ++at_;
      if (!escape(out)) return false;
      --at_;
    }
    return false;
  }

  const char* at_;
  const char* end_;
};

}  // namespace

const Json* Json::find(const std::string& name) const {
  for (auto member = object.rbegin(); member != object.rend(); ++member)
    if (member->first == name) return &member->second;
  return nullptr;
}

std::optional<Json> parse_json(const std::string& text) {
  Json out;
  if (!Parser(text).whole(out)) return {};
  return out;
}

}  // namespace capi
}  // namespace dsb
