#include "core/threads.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/float_environment.h"

namespace dsb {
namespace {

thread_local bool in_parallel = false;  // this thread works on a task of a loop that has several threads

class Loop {
 public:
  Loop(uint64_t tasks, const std::function<void(uint64_t)>& body) : tasks_(tasks), body_(body) {}

  // One part: takes tasks until none is left.
  void work() noexcept {
    const FloatEnvironment environment;
    const bool outer = std::exchange(in_parallel, true);
    for (uint64_t task; (task = next_.fetch_add(1)) < tasks_;) {
      try {
        body_(task);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!error_) error_ = std::current_exception();
        next_.store(tasks_);
      }
    }
    in_parallel = outer;
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const uint64_t tasks_;
  const std::function<void(uint64_t)>& body_;
  std::atomic<uint64_t> next_{0};
  std::mutex mutex_;
  std::exception_ptr error_;
};

void run_on_own_threads(Loop& loop, unsigned count) {
  std::vector<std::thread> others;
  others.reserve(count);
  try {
    for (unsigned k = 1; k < count; ++k) others.emplace_back([&] { loop.work(); });
  } catch (const std::exception&) {  // no more threads, or memory for one: those there are do all the tasks
  }
  loop.work();
  for (std::thread& other : others) other.join();
}

}  // namespace

unsigned hardware_threads() { return std::max(1u, std::thread::hardware_concurrency()); }

Threads Threads::of(Host host) {
  Threads threads(0);
  threads.host_ = std::move(host);
  return threads;
}

Threads Threads::at_most(uint64_t count) const {
  Threads fewer = *this;
  fewer.count_ = static_cast<unsigned>(std::max<uint64_t>(1, std::min<uint64_t>(count_, count)));
  return fewer;
}

void parallel_for(uint64_t tasks, const Threads& threads, const std::function<void(uint64_t)>& body) {
  const unsigned parts = in_parallel ? 1 : static_cast<unsigned>(std::min<uint64_t>(threads.count(), tasks));
  if (parts <= 1) {
    const FloatEnvironment environment;
    for (uint64_t task = 0; task < tasks; ++task) body(task);
    return;
  }
  Loop loop(tasks, body);
  if (threads.host())
    threads.host()(parts, [](void* data, size_t) { static_cast<Loop*>(data)->work(); }, &loop);
  else
    run_on_own_threads(loop, parts);
  loop.rethrow();
}

}  // namespace dsb
