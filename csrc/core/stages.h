// Work whose stages follow one another, each shared by the same few threads.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/threads.h"

namespace dsb {

struct Stage {
  uint64_t tasks;
  // body(task, member): no two tasks that run at once have the same `member`, which is below Threads::count().
  std::function<void(uint64_t task, unsigned member)> body;
};

// All tasks of every stage, a stage's after those of the stages before. Threads join in once for all stages; one that
// comes late or never (all busy, Threads::Host, a process that was forked) is not waited for. The first exception is
// rethrown on the calling thread, and what has not begun by then is left out.
//
// Without a host the threads are kept: to start and end them would take a tenth of the milliseconds that such work
// lasts. They wait awake for some tens of microseconds, then asleep.
void run_stages(const std::vector<Stage>& stages, const Threads& threads);

}  // namespace dsb
