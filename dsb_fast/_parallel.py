"""Ordered results from a few threads, with a bound on what is under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def ordered(work: Callable[[Job], Result], jobs: Iterable[Job], threads: int, ahead: int) -> Iterator[Result]:
    """``map(work, jobs)`` on ``threads`` threads: results in order, at most ``threads + ahead`` jobs not yet taken.

    With one thread and nothing ahead no thread is started. When the consumer stops early, waiting jobs are dropped.
    """
    if threads <= 1 and ahead == 0:
        yield from map(work, jobs)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="dsb_fast")
    pending: deque = deque()
    try:
        for job in jobs:
            pending.append(pool.submit(work, job))
            if len(pending) >= threads + ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
