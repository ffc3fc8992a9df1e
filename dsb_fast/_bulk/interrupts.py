"""SIGINT and SIGTERM at a moment of the run's choosing, so that no step of writing a file is cut in two."""

from __future__ import annotations

import signal
import threading

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class HeldInterrupts:
    """While it is entered, a signal waits for ``check()``, or for the end; the second of a kind acts at once.

    Python runs a signal's handler between any two instructions of the main thread; an exception that it raises there
    can fall between making a file and noting that it was made. In another thread this does nothing, nor for a signal
    that no Python handler was set for.
    """

    def __init__(self):
        self._handlers: dict[int, object] = {}
        self._held: list[int] = []

    def _hold(self, number: int, _frame) -> None:
        self._held.append(number)
        signal.signal(number, self._handlers[number])

    def check(self) -> None:
        """Let a signal that has come act now: usually it raises."""
        while self._held:
            number = self._held.pop(0)
            self._handlers[number](number, None)

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in _NUMBERS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._hold)
        return self

    def __exit__(self, kind, *_):
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == self._hold:
                signal.signal(number, handler)
        if kind is None:
            self.check()
