"""How fast the machine multiplies and adds right now.

A float32 matrix product of numpy's BLAS on all cores: 768 x 768 panels lie in L2, and OpenBLAS keeps the FMA units
about 95 % busy on them, so its rate moves with clock, neighbours and lent-out cores as any compute-bound alternative
does. It is a yardstick for the state of the machine, not a ceiling to quote.
"""

from __future__ import annotations

import time
from functools import cache

import numpy as np

_SIZE, _PRODUCTS = 768, 8


@cache
def _operands() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a = np.linspace(-1, 1, _SIZE * _SIZE, dtype=np.float32).reshape(_SIZE, _SIZE)
    return a, np.ascontiguousarray(a.T), np.empty_like(a)


def gflops() -> float:
    """float32 GFLOP/s over a few products (some 30 ms), the first of which is not counted."""
    a, b, out = _operands()
    np.matmul(a, b, out=out)
    begin = time.perf_counter()
    for _ in range(_PRODUCTS):
        np.matmul(a, b, out=out)
    return 2 * _SIZE**3 * _PRODUCTS / (time.perf_counter() - begin) / 1e9
