// Memory that a thread keeps from call to call: fresh pages cost more time than a layer's transforms.
#pragma once

#include <cstdint>

#include "core/large_memory.h"

namespace dsb {

// shared: with the threads of a loop, by who starts it; kinds: how many there are.
enum class ThreadMemory { values, sums, strip, rows, between, shared, kinds };

// At least `count` floats of this thread, of undefined value; valid until it asks for more of the same kind.
inline float* thread_memory(ThreadMemory kind, int64_t count) {
  struct Piece {
    float* memory = nullptr;
    size_t size = 0;
    ~Piece() { LargeMemory<float>().deallocate(memory, size); }
  };
  static thread_local Piece pieces[static_cast<int>(ThreadMemory::kinds)];
  Piece& piece = pieces[static_cast<int>(kind)];
  const size_t wanted = static_cast<size_t>(count);
  if (piece.size < wanted) {
    LargeMemory<float>().deallocate(piece.memory, piece.size);
    piece.memory = nullptr, piece.size = 0;
    piece.memory = LargeMemory<float>().allocate(wanted);
    piece.size = wanted;
  }
  return piece.memory;
}

}  // namespace dsb
