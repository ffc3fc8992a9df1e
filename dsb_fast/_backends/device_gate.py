"""Work on GPUs by any number of threads, or the capture of a CUDA graph alone."""

from __future__ import annotations

import threading
from contextlib import contextmanager


class Gate:
    """Captures wait until nobody works, and whoever wants to work waits for a capture.

    While ONNX Runtime captures, another thread's allocations and plain copies are errors, there and in the capture.
    """

    def __init__(self):
        self._changed = threading.Condition()
        self._working, self._alone = 0, False

    @contextmanager
    def work(self):
        """Work of one thread. Not inside :meth:`alone`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._working += 1
        try:
            yield
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self):
        """A capture. Not inside :meth:`work`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._alone = True
            self._changed.wait_for(lambda: not self._working)
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()


gate = Gate()  # of this process
