#include "core/stages.h"

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>

#include "core/float_environment.h"
#include "core/helpers.h"

namespace dsb {
namespace {

class Run {
 public:
  explicit Run(const std::vector<Stage>& stages) : stages_(stages), counts_(new Counts[stages.size()]) {}

  // All stages: tasks until none is left, then the wait for those that others have taken.
  void work(unsigned member) noexcept {
    const FloatEnvironment environment;
    for (size_t s = 0; s < stages_.size(); ++s) {
      const Stage& stage = stages_[s];
      Counts& counts = counts_[s];
      for (uint64_t task; (task = counts.taken.fetch_add(1)) < stage.tasks; counts.done.fetch_add(1))
        if (!failed_.load()) one(stage, task, member);
      wait_awake([&] { return counts.done.load() == stage.tasks; });
    }
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  struct alignas(64) Counts {
    std::atomic<uint64_t> taken{0};
    alignas(64) std::atomic<uint64_t> done{0};
  };

  void one(const Stage& stage, uint64_t task, unsigned member) {
    try {
      stage.body(task, member);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!error_) error_ = std::current_exception();
      failed_.store(true);
    }
  }

  const std::vector<Stage>& stages_;
  const std::unique_ptr<Counts[]> counts_;
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
};

}  // namespace

void run_stages(const std::vector<Stage>& stages, const Threads& threads) {
  Run run(stages);
  const auto work = [&](unsigned member) { run.work(member); };
  if (threads.count() == 1 || threads.host())
    parallel_for(threads.count(), threads, [&](uint64_t member) { work(static_cast<unsigned>(member)); });
  else
    with_helpers(threads.count() - 1, work);
  run.rethrow();
}

}  // namespace dsb
