#include "core/stages.h"

#include <atomic>
#include <memory>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dsb {
namespace {

constexpr int kSpins = 1000;  // some 20 microseconds: stages are about as long, and waking a thread takes longer

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

class Run {
 public:
  explicit Run(const std::vector<Stage>& stages) : stages_(stages), counts_(new Counts[stages.size()]) {}

  // All stages: tasks until none is left, then the wait for those that others have taken.
  void work(unsigned member) {
    for (size_t s = 0; s < stages_.size(); ++s) {
      const Stage& stage = stages_[s];
      Counts& counts = counts_[s];
      for (uint64_t task; (task = counts.taken.fetch_add(1)) < stage.tasks;) {
        const Done done{counts.done};
        if (failed_.load()) continue;
        try {
          stage.body(task, member);
        } catch (...) {
          failed_.store(true);
          throw;
        }
      }
      wait(counts.done, stage.tasks);
    }
  }

 private:
  struct alignas(64) Counts {
    std::atomic<uint64_t> taken{0};
    alignas(64) std::atomic<uint64_t> done{0};
  };
  struct Done {
    std::atomic<uint64_t>& count;
    ~Done() { count.fetch_add(1); }
  };

  static void wait(const std::atomic<uint64_t>& done, uint64_t tasks) {
    for (int spins = 0; done.load() < tasks; ++spins) spins < kSpins ? pause() : std::this_thread::yield();
  }

  const std::vector<Stage>& stages_;
  const std::unique_ptr<Counts[]> counts_;
  std::atomic<bool> failed_{false};
};

}  // namespace

void run_stages(const std::vector<Stage>& stages, const Threads& threads) {
  if (threads.count() == 1) {
    parallel_for(1, threads, [&](uint64_t) {
      for (const Stage& stage : stages)
        for (uint64_t task = 0; task < stage.tasks; ++task) stage.body(task, 0);
    });
    return;
  }
  Run run(stages);
  parallel_for(threads.count(), threads, [&](uint64_t member) { run.work(static_cast<unsigned>(member)); });
}

}  // namespace dsb
