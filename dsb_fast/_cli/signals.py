"""SIGTERM as an exception, so that an ended run cleans up as an interrupted one does."""

from __future__ import annotations

import signal
import threading


class Terminated(BaseException):
    """The process was asked to end."""


def _handler(_signal, _frame):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough; clean-up is not to be cut short
    raise Terminated


def raise_on_sigterm() -> None:
    """From now on SIGTERM raises Terminated in the main thread."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _handler)
