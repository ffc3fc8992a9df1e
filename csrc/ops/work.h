// How a loop is cut into tasks: bits never depend on it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace dsb {

// Multiplications that are worth a task of their own; starting a thread costs about as long.
constexpr int64_t kTaskWork = 1 << 18;

// How many items of `work` multiplications each make one task.
inline int64_t items_per_task(int64_t work) { return std::max<int64_t>(1, kTaskWork / std::max<int64_t>(1, work)); }

inline int64_t divide_up(int64_t value, int64_t by) { return (value + by - 1) / by; }

}  // namespace dsb
