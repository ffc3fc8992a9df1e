"""The time that a check may take: parts that would outlast it are cut off, and named."""

from __future__ import annotations

import signal
import threading
import time


class Clock:
    """``seconds`` from now on."""

    def __init__(self, seconds: float):
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        return self._end - time.monotonic()

    def is_out(self, needed: float = 0.0) -> bool:
        """Whether less than ``needed`` seconds are left."""
        return self.left() <= needed

    def part(self, share: float) -> Clock:
        """A clock with that share of what is left."""
        return Clock(max(0.0, self.left()) * share)

    def limited(self, step):
        """``step()``, interrupted by TimeoutError when the time is out; only the main thread can interrupt itself."""
        if threading.current_thread() is not threading.main_thread():
            return step()

        def stop(*_):
            raise TimeoutError("the time was out; --minutes gives more")

        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, max(0.01, self.left()))
        try:
            return step()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
