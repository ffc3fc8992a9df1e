"""How fast the machine copies memory right now: all cores, arrays beyond the cache, plain stores and non-temporal ones.

The loops are compiled here, so that a library's own choice of stores can't decide; both ask for what they read some
lines in advance, without which a core waits for memory.
"""

from __future__ import annotations

import ctypes
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

import numpy as np
from harness import Missing
from machine import cores

_FLOATS, _COPIES, _LINE = 32 << 20, 5, 16
_SOURCE = r"""
#include <stddef.h>
#include <immintrin.h>
void plain(const float* x, float* y, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    _mm_prefetch((const char*)(x + i + 512), _MM_HINT_T0);
    for (size_t k = i; k < i + 16; k += 4) _mm_store_ps(y + k, _mm_load_ps(x + k));
  }
}
void non_temporal(const float* x, float* y, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    _mm_prefetch((const char*)(x + i + 512), _MM_HINT_T0);
    for (size_t k = i; k < i + 16; k += 4) _mm_stream_ps(y + k, _mm_load_ps(x + k));
  }
  _mm_sfence();
}
"""


@cache
def compiled(text: str, what: str) -> ctypes.CDLL:
    """Loops in C, compiled here. Raises Missing, begun with ``what``, without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Missing(f"{what}: no C compiler is installed")
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "loops.c"), Path(folder, "loops.so")
        source.write_text(text)
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", source, "-o", library], check=True)
        return ctypes.CDLL(str(library))


def _aligned(count: int) -> np.ndarray:
    memory = np.ones(count + _LINE, np.float32)
    first = -(memory.ctypes.data // 4) % _LINE
    return memory[first : first + count]


@cache
def _arrays() -> tuple[np.ndarray, np.ndarray]:
    return _aligned(_FLOATS), _aligned(_FLOATS)


def gigabytes(stores: str) -> float:
    """GB/s read and written, the median of a few copies; ``stores`` is "plain" or "non_temporal"."""
    x, y = _arrays()
    part = _FLOATS // cores() // _LINE * _LINE
    copy = getattr(compiled(_SOURCE, "copy bandwidth"), stores)
    barrier, times = threading.Barrier(cores()), []

    def work(k: int) -> None:
        at = [ctypes.c_void_p(array.ctypes.data + 4 * k * part) for array in (x, y)]
        for _ in range(_COPIES):
            barrier.wait()
            begin = time.perf_counter()
            copy(*at, ctypes.c_size_t(part))
            times.append((begin, time.perf_counter()))
            barrier.wait()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(cores())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = [times[k : k + cores()] for k in range(0, len(times), cores())]
    seconds = [max(end for _, end in run) - min(begin for begin, _ in run) for run in runs]
    return 8 * part * cores() / statistics.median(seconds) / 1e9
