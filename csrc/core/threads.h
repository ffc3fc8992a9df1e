// A parallel loop without a pool: threads live for one call, so nothing spins between calls.
#pragma once

#include <cstdint>
#include <functional>

namespace dsb {

// Threads that this process can run at once, at least 1.
unsigned hardware_threads();

// Calls body(task) for every task in [0, tasks), on at most `threads` threads (0: hardware_threads()).
// Tasks are handed out in order and run in the default floating-point environment. The first exception is rethrown on
// the calling thread.
void parallel_for(uint64_t tasks, unsigned threads, const std::function<void(uint64_t)>& body);

}  // namespace dsb
