// Medians of whole numbers.
#pragma once

#include <cstdint>

namespace dsb {

// Orders `rows` rows of `columns` numbers, side by side: row 0 gets the smallest of each column.
void sort_columns(int32_t* x, int64_t rows, int64_t columns);

// Sum of the two numbers in the middle, or twice the one, of at least 1 between -2^28 and 2^28. The closer `near` is to
// half of that, the less time it takes.
int64_t twice_median(const int32_t* x, int64_t count, int64_t near);

}  // namespace dsb
