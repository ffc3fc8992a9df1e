// A pool of threads makes ECGs, a consumer takes them from a bounded queue; prints how many a second went through.
//
// feed ecg.onnx COUNT [PRODUCERS]
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <dsb_fast/dsb_fast.hpp>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace {

constexpr std::uint64_t kBatch = 16;  // ECGs a call: enough to be fast, few enough to be had soon

struct Batch {
  std::uint64_t first;
  std::vector<std::int16_t> signal_uv;
};

// Batches on their way, `capacity` at most. Producers say when they are done, or what went wrong.
class Queue {
 public:
  Queue(std::size_t capacity, unsigned producers) : capacity_(capacity), producers_(producers) {}

  void put(Batch batch) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return batches_.size() < capacity_; });
    batches_.push_back(std::move(batch));
    changed_.notify_all();
  }

  void finish(std::exception_ptr error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    --producers_;
    if (error) error_ = error;
    changed_.notify_all();
  }

  // Nothing when all is taken.
  std::optional<Batch> take() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return !batches_.empty() || producers_ == 0; });
    if (batches_.empty()) {
      if (error_) std::rethrow_exception(error_);
      return {};
    }
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    changed_.notify_all();
    return batch;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> batches_;
  std::size_t capacity_;
  unsigned producers_;
  std::exception_ptr error_;
};

// Every producers-th batch, beginning with the producer's own number.
void produce(const dsb_fast::Model& model, std::uint64_t count, unsigned producer, unsigned producers, Queue& queue) {
  std::exception_ptr error;
  try {
    for (std::uint64_t first = producer * kBatch; first < count; first += producers * kBatch) {
      dsb_fast::Request request;
      request.start = first;
      request.count = std::min(kBatch, count - first);
      queue.put({first, model.generate<std::int16_t>(request)});
    }
  } catch (...) {
    error = std::current_exception();
  }
  queue.finish(error);
}

int run(const char* path, std::uint64_t count, unsigned producers) {
  dsb_fast::Options options;
  options.threads = 1;  // the pool's threads are the threads
  const dsb_fast::Model model(path, options);
  const std::size_t size = model.sample_size<std::int16_t>();
  Queue queue(2 * producers, producers);
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> pool;
  for (unsigned k = 0; k < producers; ++k) pool.emplace_back([&, k] { produce(model, count, k, producers, queue); });

  std::uint64_t samples = 0;
  std::int64_t sum = 0;  // in place of what a consumer does with a signal; of whole numbers, so that order is nothing
  std::exception_ptr error;
  try {
    while (const std::optional<Batch> batch = queue.take()) {
      samples += batch->signal_uv.size() / size;
      for (const std::int16_t value : batch->signal_uv) sum += value;
    }
  } catch (...) {
    error = std::current_exception();
  }
  for (std::thread& thread : pool) thread.join();
  if (error) std::rethrow_exception(error);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%llu ECGs, sum of microvolts %lld\n", static_cast<unsigned long long>(samples),
              static_cast<long long>(sum));
  std::printf("%.1f ECGs a second from %u threads\n", static_cast<double>(samples) / seconds, producers);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  if (count < 3 || count > 4) {
    std::fprintf(stderr, "usage: feed MODEL.onnx COUNT [PRODUCERS]\n");
    return 2;
  }
  const unsigned here = std::max(1u, std::thread::hardware_concurrency());
  const unsigned producers = count > 3 ? static_cast<unsigned>(std::atoi(words[3])) : here;
  try {
    return run(words[1], std::strtoull(words[2], nullptr, 10), std::max(1u, producers));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "feed: %s\n", error.what());
    return 1;
  }
}
