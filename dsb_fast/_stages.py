"""Which stage of a bulk run the calling thread is in, said from deep inside a stage: a backend that waits or copies.

Without a clock on the thread (:class:`dsb_fast._bulk.stats.Clock`) nothing is noted.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager

_current = threading.local()


def set_clock(clock):
    """The thread's clock from now on, or None; returns the one before."""
    before = getattr(_current, "clock", None)
    _current.clock = clock
    return before


@contextmanager
def stage(name: str):
    """The thread is in stage ``name`` meanwhile, and then again in the one it was in."""
    clock = getattr(_current, "clock", None)
    if clock is None:
        yield
        return
    left = clock.enter(name)
    try:
        yield
    finally:
        clock.enter(left)
