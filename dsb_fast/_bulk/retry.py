"""Calls to a store that may fail or hang: made again after a while, a bounded number of times."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from .._errors import InputError

_NEVER = threading.Event()
_LOOK_S = 0.2  # how long it may take to notice that all is given up
_GRACE_S = 5.0  # for calls under way when all is given up
_SLOWEST = 1 << 18  # bytes a second: what is slower than that is taken for a connection that hangs

# What does not become better by waiting: rights, names, arguments, packages.
_FINAL = (PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError, ImportError, ValueError, TypeError,
          AttributeError, NotImplementedError)  # fmt: skip
_FINAL_NAMES = {"NoCredentialsError", "PartialCredentialsError", "ParamValidationError", "GoogleAuthError"}


class StoreFailure(OSError):
    """A call that was given up; ``filename`` is the URL."""


@dataclass(frozen=True)
class Patience:
    """How often a call is made, how long is waited between (doubled each time, up to ``most_s``), how long it may take.

    A call may take ``timeout_s``, and a second more for every 256 kB that it moves.
    """

    attempts: int = 6
    first_s: float = 0.25
    most_s: float = 15.0
    timeout_s: float = 60.0

    @classmethod
    def of_environment(cls) -> Patience:
        """With ``DSB_STORE_ATTEMPTS`` and ``DSB_STORE_TIMEOUT_S`` where they are set. Raises InputError."""
        return cls(
            attempts=int(_number("DSB_STORE_ATTEMPTS", cls.attempts, 1, 100)),
            timeout_s=_number("DSB_STORE_TIMEOUT_S", cls.timeout_s, 0.01, 86400),
        )

    def delay_s(self, attempt: int) -> float:
        """How long to wait before ``attempt``, 1 for the second: half of it chance, so that no two go in step."""
        longest = min(self.most_s, self.first_s * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)


def _number(name: str, default: float, least: float, most: float) -> float:
    try:
        value = float(os.environ.get(name) or default)
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise InputError(f"{name}: {os.environ[name]!r}; it must be a number from {least} to {most}")
    return value


def sleep(seconds: float, stop: threading.Event) -> None:
    """Wait, unless all is given up; tests wait for nothing."""
    stop.wait(seconds)


def persist(
    url: str,
    call: Callable[[], object],
    patience: Patience,
    stop: threading.Event,
    nbytes: int = 0,
    late_harms: bool = False,
):
    """What ``call()`` returns, tried again as long as that may help and ``stop`` is not set.

    ``late_harms``: that a call which is given up may still take effect later would do harm, so one that takes too
    long is not followed by another. Raises FileNotFoundError as it comes, StoreFailure for all else.
    """
    limit_s = patience.timeout_s + nbytes / _SLOWEST
    for attempt in range(patience.attempts):
        if attempt:
            sleep(patience.delay_s(attempt), stop)
        try:
            return _within(limit_s, call, stop)
        except (FileNotFoundError, StoreFailure):
            raise
        except Exception as error:
            failed = error
            if isinstance(error, _FINAL) or type(error).__name__ in _FINAL_NAMES:
                raise _failure(url, error) from error
            if stop.is_set() or (late_harms and isinstance(error, _TooLong)):
                break
    raise _failure(url, failed, attempt + 1) from failed


class _TooLong(TimeoutError):
    pass


def _failure(url: str, error: Exception, attempts: int = 1) -> StoreFailure:
    words = " ".join(str(error.strerror if isinstance(error, OSError) and error.strerror else error).split())
    words = (words or type(error).__name__)[:300].rstrip(".")
    number = getattr(error, "errno", None)
    tried = f" (tried {attempts} times)" if attempts > 1 else ""
    return StoreFailure(number if isinstance(number, int) else errno.EIO, words + tried, url)


def _within(limit_s: float, call: Callable[[], object], stop: threading.Event):
    """``call()`` on a thread of its own, which is left alone when it takes longer. Raises _TooLong."""
    answer: SimpleQueue = SimpleQueue()

    def work() -> None:
        try:
            answer.put((call(), None))
        except BaseException as error:  # the caller's to deal with, whatever it is
            answer.put((None, error))

    threading.Thread(target=work, daemon=True, name="dsb_fast_store").start()
    result, error = _answer(answer, limit_s, stop)
    if error is not None:
        raise error
    return result


def _answer(answer: SimpleQueue, limit_s: float, stop: threading.Event):
    begin = time.monotonic()
    end = begin + limit_s
    while (left := end - time.monotonic()) > 0:
        with contextlib.suppress(Empty):
            return answer.get(timeout=min(left, _LOOK_S))
        if stop.is_set():
            end = min(end, time.monotonic() + _GRACE_S)
            stop = _NEVER
    raise _TooLong(f"no answer in {time.monotonic() - begin:.0f} s")
