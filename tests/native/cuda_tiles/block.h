// CUDA's blocks on the host: a thread of the operating system for every thread of a block, blocks one after the other.
// So kernels whose threads meet in shared memory run, and are checked by sanitizers, where there is no GPU.
#pragma once

#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(threads)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ static  // blocks run one after the other

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

inline thread_local Dim3 threadIdx, blockIdx, gridDim;

class Barrier {
 public:
  explicit Barrier(unsigned count) : count_(count) {}

  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    const unsigned turn = turn_;
    if (++arrived_ == count_) {
      arrived_ = 0, ++turn_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [&] { return turn != turn_; });
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  const unsigned count_;
  unsigned arrived_ = 0, turn_ = 0;
};

struct Block {
  explicit Block(unsigned threads) : all(threads) {
    for (unsigned warp = 0; warp < threads / 32; ++warp) warps.push_back(new Barrier(32));
  }
  ~Block() {
    for (Barrier* warp : warps) delete warp;
  }
  Barrier all;
  std::vector<Barrier*> warps;
};

inline thread_local Block* current_block = nullptr;

inline void __syncthreads() { current_block->all.wait(); }
inline void __syncwarp() { current_block->warps[threadIdx.x / 32]->wait(); }

// kernel() in every thread of every block of the grid.
template <typename Kernel>
void launch(const Dim3& grid, unsigned threads, const Kernel& kernel) {
  Block block(threads);
  const auto work = [&](unsigned id) {
    threadIdx.x = id, gridDim = grid, current_block = &block;
    for (unsigned z = 0; z < grid.z; ++z)
      for (unsigned y = 0; y < grid.y; ++y)
        for (unsigned x = 0; x < grid.x; ++x) {
          blockIdx = {x, y, z};
          kernel();
          block.all.wait();
        }
  };
  std::vector<std::thread> pool;
  for (unsigned id = 0; id < threads; ++id) pool.emplace_back(work, id);
  for (std::thread& thread : pool) thread.join();
}
