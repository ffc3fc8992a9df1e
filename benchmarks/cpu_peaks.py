"""How fast this machine is right now: multiply-add in float32 and bfloat16, reads from each cache, copies of memory.

The loops are compiled here with the widest instructions that the processor has, and run on all cores at once; every
figure is the best of a few short runs, since anything that disturbs a run only makes it slower.
"""

from __future__ import annotations

import ctypes
import threading
import time
from functools import cache

import copy_probe
import numpy as np
from machine import cores, processor

_RUNS = 5
_ACCUMULATORS = 16
# Bytes read again and again by each core: well inside a first-, second- and third-level cache of today.
CACHES = {"L1": 24 << 10, "L2": 512 << 10, "L3": 6 << 20}
_BYTES = 256 << 20  # read in a run, by each core

_SOURCE = r"""
#include <stddef.h>
#include <immintrin.h>
#define LOOP(type, set, first, step)                                                 \
  type a[16];                                                                        \
  _Pragma("GCC unroll 16") for (int k = 0; k < 16; ++k) a[k] = set(1e-3f * (float)k); \
  for (size_t i = 0; i < n; ++i) {                                                   \
    _Pragma("GCC unroll 16") for (int k = 0; k < 16; ++k) step;                      \
    _Pragma("GCC unroll 16") for (int k = 0; k < 16; ++k) __asm__ volatile("" : "+v"(a[k])); \
  }                                                                                  \
  float s = 0;                                                                       \
  _Pragma("GCC unroll 16") for (int k = 0; k < 16; ++k) s += first(a[k]);            \
  return s;

__attribute__((target("avx512f"))) float fma_avx512(size_t n) {
  const __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(1e-6f);
  LOOP(__m512, _mm512_set1_ps, _mm512_cvtss_f32, a[k] = _mm512_fmadd_ps(a[k], x, y))
}
__attribute__((target("avx2,fma"))) float fma_avx2(size_t n) {
  const __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1e-6f);
  LOOP(__m256, _mm256_set1_ps, _mm256_cvtss_f32, a[k] = _mm256_fmadd_ps(a[k], x, y))
}
__attribute__((target("avx512f,avx512bf16"))) float bf16_avx512(size_t n) {
  const __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f803f80), y = (__m512bh)_mm512_set1_epi32(0x01010101);
  LOOP(__m512, _mm512_set1_ps, _mm512_cvtss_f32, a[k] = _mm512_dpbf16_ps(a[k], x, y))
}
#define READ(type, load, both)                                    \
  type a = load(x), b = a, c = a, d = a;                          \
  const size_t step = sizeof(type) / 4;                           \
  for (size_t r = 0; r < n; ++r)                                  \
    for (size_t i = 0; i < count; i += 4 * step) {                \
      a = both(a, load(x + i)), b = both(b, load(x + i + step));  \
      c = both(c, load(x + i + 2 * step)), d = both(d, load(x + i + 3 * step)); \
    }                                                             \
  a = both(both(a, b), both(c, d));                               \
  return ((const float*)&a)[0];

__attribute__((target("avx512f"))) float read_avx512(const float* x, size_t count, size_t n) {
  READ(__m512, _mm512_load_ps, _mm512_max_ps)
}
__attribute__((target("avx2"))) float read_avx2(const float* x, size_t count, size_t n) {
  READ(__m256, _mm256_load_ps, _mm256_max_ps)
}
"""


@cache
def _library() -> ctypes.CDLL:
    loaded = copy_probe.compiled(_SOURCE, "the machine's peaks")
    for name in ("fma_avx512", "fma_avx2", "bf16_avx512", "read_avx512", "read_avx2"):
        getattr(loaded, name).restype = ctypes.c_float
    return loaded


@cache
def _flags() -> frozenset[str]:
    return frozenset(processor()["flags"])


def _together(work, threads: int) -> float:
    """Seconds from the first thread's begin to the last one's end; ``work(k)`` lets go of the interpreter."""
    barrier, times = threading.Barrier(threads), []

    def run(k: int) -> None:
        barrier.wait()
        begin = time.perf_counter()
        work(k)
        times.append((begin, time.perf_counter()))

    started = [threading.Thread(target=run, args=(k,)) for k in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return max(end for _, end in times) - min(begin for begin, _ in times)


def _least(work, threads: int) -> float:
    return min(_together(work, threads) for _ in range(_RUNS))


def fma_gflops(threads: int | None = None) -> float:
    """float32 multiply-adds on ``threads`` cores (all), two operations each."""
    lanes, name = (16, "fma_avx512") if "avx512f" in _flags() else (8, "fma_avx2")
    threads, rounds = threads or cores(), 1 << 19
    loop = getattr(_library(), name)
    seconds = _least(lambda _: loop(ctypes.c_size_t(rounds)), threads)
    return 2 * lanes * _ACCUMULATORS * rounds * threads / seconds / 1e9


def bf16_gflops(threads: int | None = None) -> float | None:
    """bfloat16 products added in float32 (vdpbf16ps); None where the processor lacks them."""
    if "avx512_bf16" not in _flags():
        return None
    threads, rounds = threads or cores(), 1 << 19
    loop = _library().bf16_avx512
    seconds = _least(lambda _: loop(ctypes.c_size_t(rounds)), threads)
    return 4 * 16 * _ACCUMULATORS * rounds * threads / seconds / 1e9


@cache
def _memory(core: int) -> np.ndarray:
    whole = np.ones(max(CACHES.values()) // 4 + 16, np.float32)
    return whole[-(whole.ctypes.data // 4) % 16 :]


def read_gigabytes(cache_name: str) -> float:
    """GB/s that all cores read from a cache, each its own ``CACHES`` bytes."""
    count = CACHES[cache_name] // 4
    loop = _library().read_avx512 if "avx512f" in _flags() else _library().read_avx2
    again = _BYTES // CACHES[cache_name]

    def work(k: int) -> None:
        loop(ctypes.c_void_p(_memory(k).ctypes.data), ctypes.c_size_t(count), ctypes.c_size_t(again))

    return _BYTES * cores() / _least(work, cores()) / 1e9


def measure() -> dict[str, float]:
    """All of it: GFLOP/s and GB/s of all cores together, the copy's as bytes read and written."""
    found = {"fma_f32_gflops": fma_gflops(), "bf16_dot_gflops": bf16_gflops()}
    found |= {f"{name}_read_gbs": read_gigabytes(name) for name in CACHES}
    found["copy_gbs"] = max(copy_probe.gigabytes(stores) for stores in ("plain", "non_temporal"))
    return {name: value for name, value in found.items() if value is not None}
