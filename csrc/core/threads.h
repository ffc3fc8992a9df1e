// A parallel loop without a pool: threads live for one call, so nothing spins between calls.
#pragma once

#include <cstdint>
#include <functional>

namespace dsb {

// Calls body(task) for every task in [0, tasks), on at most `threads` threads (0: as many as the machine has cores).
// Tasks are handed out in order. The first exception is rethrown on the calling thread.
void parallel_for(uint64_t tasks, unsigned threads, const std::function<void(uint64_t)>& body);

}  // namespace dsb
