// Parallel loops on threads of their own and on a host's pool: every task once, exceptions, nesting, rounding mode.
#include <atomic>
#include <cfenv>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/stages.h"
#include "core/threads.h"
#include "native/expect.h"

namespace {

// A host that runs the parts in reverse order on `count` threads, as no caller may rely on any order.
dsb::Threads host(unsigned count) {
  return dsb::Threads::of([count](size_t parts, void (*part)(void*, size_t), void* data) {
    std::vector<std::thread> workers;
    for (unsigned w = 0; w < count; ++w)
      workers.emplace_back([=] {
        for (size_t k = parts; k-- > 0;)
          if (k % count == w) part(data, k);
      });
    for (std::thread& worker : workers) worker.join();
  });
}

std::vector<dsb::Threads> all() {
  return {1, 2, 5, 0, host(1), host(3), dsb::Threads(7).at_most(2), host(2).at_most(1)};
}

void test_every_task_once(const dsb::Threads& threads) {
  for (uint64_t tasks : {0, 1, 2, 3, 100}) {
    std::vector<std::atomic<int>> done(tasks);
    dsb::parallel_for(tasks, threads, [&](uint64_t task) { ++done[task]; });
    for (const auto& times : done) expect(times == 1, "a task runs once");
  }
}

void test_exceptions(const dsb::Threads& threads) {
  bool thrown = false;
  try {
    dsb::parallel_for(100, threads, [](uint64_t task) {
      if (task == 57) throw std::invalid_argument("57");
    });
  } catch (const std::invalid_argument& error) {
    thrown = std::string(error.what()) == "57";
  }
  expect(thrown, "an exception reaches the caller, not the host");
}

// Every task sees all of the stages before, and has its member's memory to itself.
void test_stages(const dsb::Threads& threads) {
  std::vector<std::atomic<int>> done(3), at_work(threads.count());
  std::vector<dsb::Stage> stages;
  for (size_t s = 0; s < 3; ++s)
    stages.push_back({2 + 5 * s, [&, s](uint64_t, unsigned member) {
                        expect(at_work.at(member)++ == 0, "a member does one task at a time");
                        for (size_t before = 0; before < s; ++before)
                          expect(done[before] == static_cast<int>(2 + 5 * before), "a stage waits for those before");
                        ++done[s];
                        --at_work[member];
                      }});
  dsb::run_stages(stages, threads);
  expect(done[2] == 12, "all tasks of the last stage are done");
  stages[1].body = [](uint64_t task, unsigned) {
    if (task == 3) throw std::invalid_argument("3");
  };
  bool thrown = false;
  try {
    dsb::run_stages(stages, threads);
  } catch (const std::invalid_argument&) {
    thrown = true;
  }
  expect(thrown && done[2] == 12, "an exception reaches the caller, and no stage after it begins");
}

void test_nesting(const dsb::Threads& threads) {
  std::atomic<int> count{0}, elsewhere{0};
  const auto caller = std::this_thread::get_id();
  dsb::parallel_for(8, threads, [&](uint64_t) {
    const auto own = std::this_thread::get_id();
    dsb::parallel_for(8, threads, [&](uint64_t) {
      ++count;
      elsewhere += std::this_thread::get_id() != own && threads.count() > 1;
    });
  });
  expect(count == 64 && elsewhere == 0, "a loop in a task of a parallel loop stays on the task's thread");
  std::atomic<int> inner{0};
  dsb::parallel_for(1, threads, [&](uint64_t) {
    expect(std::this_thread::get_id() == caller, "one task runs on the calling thread");
    dsb::parallel_for(8, threads, [&](uint64_t) { ++inner; });
  });
  dsb::parallel_for(8, threads, [&](uint64_t) { ++inner; });
  expect(inner == 16, "a loop in a single task, and one after it");
}

[[maybe_unused]] void test_rounding_mode(const dsb::Threads& threads) {
  std::atomic<int> wrong{0};
  std::fesetround(FE_DOWNWARD);
  dsb::parallel_for(8, threads, [&](uint64_t) {
    volatile float one = 1.0f, small = 1e-10f;
    wrong += one - small != 1.0f;
  });
  expect(std::fegetround() == FE_DOWNWARD, "the caller's rounding mode is put back");
  std::fesetround(FE_TONEAREST);
  expect(wrong == 0, "tasks round to nearest whatever the caller has set");
}

}  // namespace

void run_thread_tests() {
  for (const dsb::Threads& threads : all()) {
    test_every_task_once(threads);
    test_exceptions(threads);
    test_stages(threads);
    test_nesting(threads);
#if defined(__SSE__)
    test_rounding_mode(threads);
#endif
  }
}
