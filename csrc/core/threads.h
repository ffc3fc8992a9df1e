// Parallel loops without a pool of our own: threads live for one loop, so nothing spins between loops, or they are a
// host's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace dsb {

// Threads that this process can run at once, at least 1.
unsigned hardware_threads();

// Where the tasks of a loop run; copied freely, shared by any number of loops.
class Threads {
 public:
  // Calls part(data, k) once for every k below `parts`, in any order, on any threads, and returns when all are done.
  // What it calls throws nothing.
  using Host = std::function<void(size_t parts, void (*part)(void* data, size_t k), void* data)>;

  // At most `count` threads, started for each loop; 0: hardware_threads(). Not explicit: a number is enough.
  Threads(unsigned count) : count_(count ? count : hardware_threads()) {}
  // A host's pool of whatever size; parts that it has no thread for find nothing left to do.
  static Threads of(Host host);

  unsigned count() const { return count_; }
  // The same, but no loop is split into more than `count` parts (at least 1).
  Threads at_most(uint64_t count) const;
  const Host& host() const { return host_; }

 private:
  unsigned count_;
  Host host_;
};

// Calls body(task) for every task in [0, tasks), handed out in order, in the default floating-point environment. A loop
// inside a task of a loop that runs on several threads runs on the task's own. The first exception is rethrown on the
// calling thread.
void parallel_for(uint64_t tasks, const Threads& threads, const std::function<void(uint64_t)>& body);

}  // namespace dsb
