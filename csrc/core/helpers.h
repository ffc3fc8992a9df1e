// Threads that are kept for short work which several do together.
#pragma once

#include <functional>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dsb {

// Calls work(0) on this thread and, on kept threads that are free in time, some of work(1) to work(count). Returns when
// all that were called have returned. `work` throws nothing, and is complete even if only work(0) is called.
void with_helpers(unsigned count, const std::function<void(unsigned)>& work);

inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Returns when done() is true, and lets other threads run only after some tens of microseconds.
template <typename Done>
void wait_awake(Done done) {
  for (int turn = 0; !done(); ++turn) turn < 1000 ? relax() : std::this_thread::yield();
}

}  // namespace dsb
