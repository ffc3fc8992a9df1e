// Integers as text, a row a time step: the bytes of numpy.savetxt(fmt="%i"), some hundred times faster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dsb {

// samples: [leads][length] int16. One line a time step, values apart by `separator`, LF at its end.
// row_prefixes, if not empty, is `length` strings of `prefix_width` bytes each, right-padded with NUL; each begins a
// row and includes its own separator. The text is appended to `out`.
void format_rows(const int16_t* samples, size_t leads, size_t length, char separator, std::string_view row_prefixes,
                 size_t prefix_width, std::string& out);

}  // namespace dsb
