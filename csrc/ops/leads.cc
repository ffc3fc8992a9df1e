#include "ops/leads.h"

#include <cstring>

namespace dsb {

bool derive_12_leads(const int16_t* in, size_t length, int16_t* out) {
  const int16_t* lead_i = in;
  const int16_t* lead_ii = in + length;
  std::memcpy(out, in, 2 * length * sizeof(int16_t));
  std::memcpy(out + 6 * length, in + 2 * length, 6 * length * sizeof(int16_t));
  int16_t* derived[4] = {out + 2 * length, out + 3 * length, out + 4 * length, out + 5 * length};
  int overflow = 0;
  for (size_t t = 0; t < length; ++t) {
    const int i = lead_i[t], ii = lead_ii[t];
    const int value[4] = {ii - i, -(i + ii) / 2, (2 * i - ii) / 2, (2 * ii - i) / 2};  // integer division truncates
    for (int k = 0; k < 4; ++k) {
      derived[k][t] = static_cast<int16_t>(value[k]);
      overflow |= derived[k][t] != value[k];
    }
  }
  return !overflow;
}

}  // namespace dsb
