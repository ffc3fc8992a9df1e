#include "core/threads.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/float_environment.h"

namespace dsb {

unsigned hardware_threads() { return std::max(1u, std::thread::hardware_concurrency()); }

void parallel_for(uint64_t tasks, unsigned threads, const std::function<void(uint64_t)>& body) {
  if (threads == 0) threads = hardware_threads();
  threads = static_cast<unsigned>(std::min<uint64_t>(threads, tasks));
  if (threads <= 1) {
    const FloatEnvironment environment;
    for (uint64_t task = 0; task < tasks; ++task) body(task);
    return;
  }
  std::atomic<uint64_t> next{0};
  std::exception_ptr error;
  std::mutex error_mutex;
  auto work = [&] {
    const FloatEnvironment environment;
    for (uint64_t task; (task = next.fetch_add(1)) < tasks;) {
      try {
        body(task);
      } catch (...) {
        std::lock_guard<std::mutex> lock(error_mutex);
        if (!error) error = std::current_exception();
        next.store(tasks);
      }
    }
  };
  std::vector<std::thread> others;
  for (unsigned k = 1; k < threads; ++k) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace dsb
