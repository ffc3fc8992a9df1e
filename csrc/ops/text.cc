#include "ops/text.h"

#include <array>
#include <cstring>

namespace dsb {
namespace {

// One entry a value: its decimal digits from byte 0, and in byte 7 how many there are. Eight bytes are copied whatever
// the length, and the next value overwrites the rest: no branch, no division.
struct Entry {
  char text[7];
  uint8_t length;
};
static_assert(sizeof(Entry) == 8, "entries are copied as eight bytes");

std::array<Entry, 65536>* make_table() {
  auto* table = new std::array<Entry, 65536>();
  for (int value = -32768; value <= 32767; ++value) {
    Entry& entry = (*table)[static_cast<uint16_t>(value)];
    char digits[5];
    int n = 0;
    for (int rest = value < 0 ? -value : value; n == 0 || rest; rest /= 10)
      digits[n++] = static_cast<char>('0' + rest % 10);
    if (value < 0) entry.text[entry.length++] = '-';
    while (n) entry.text[entry.length++] = digits[--n];
  }
  return table;
}

const std::array<Entry, 65536>& table() {
  static const std::array<Entry, 65536>* made = make_table();  // never freed: threads may outlive static destructors
  return *made;
}

}  // namespace

void format_rows(const int16_t* samples, size_t leads, size_t length, char separator, std::string_view row_prefixes,
                 size_t prefix_width, std::string& out) {
  if (length == 0) return;
  const auto& entries = table();
  const size_t begin = out.size();
  out.resize(begin + length * (prefix_width + 7 * (leads ? leads : 1)) + sizeof(Entry));
  char* to = &out[begin];
  for (size_t t = 0; t < length; ++t) {
    if (prefix_width) {
      const char* prefix = row_prefixes.data() + t * prefix_width;
      const size_t n = strnlen(prefix, prefix_width);
      std::memcpy(to, prefix, n);
      to += n;
    }
    for (size_t lead = 0; lead < leads; ++lead) {
      const Entry& entry = entries[static_cast<uint16_t>(samples[lead * length + t])];
      std::memcpy(to, &entry, sizeof entry);
      to += entry.length;
      *to++ = separator;
    }
    if (leads) --to;
    *to++ = '\n';
  }
  out.resize(static_cast<size_t>(to - out.data()));
}

}  // namespace dsb
