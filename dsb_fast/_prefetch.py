"""Batches that are made while their consumer works on the one it has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import numpy as np

from ._parallel import ordered


def prefetched(
    make: Callable[[int, int], np.ndarray],
    batches: Iterable[tuple[int, int]],
    size: int,
    best: int,
    threads: int,
    prefetch: int | None = None,
) -> Iterator[np.ndarray]:
    """``make(first, count)`` of every batch, in order; ``prefetch`` batches beyond the consumer's are under way.

    No batch has more than ``size`` samples. One is made in parts, of at most ``best`` samples a call of ``make``, so
    that all ``threads`` have work. None is two parts a thread, at least one batch; 0 makes nothing before it is asked
    for, and leaves no thread behind meanwhile. When the consumer stops early, waiting parts are dropped.
    """
    part = min(size, best)
    if prefetch is None:
        prefetch = max(1, -(-2 * threads // -(-size // part)))
    if prefetch == 0:
        for first, count in batches:
            yield _on_demand(make, first, count, min(part, -(-count // threads)), threads)
        return
    part = min(part, -(-size // -(-threads // prefetch)))
    ahead = prefetch * -(-size // part)
    threads = min(threads, ahead + 1)
    jobs = ((*job, first + count) for first, count in batches for job in _parts(first, count, part))

    def work(job):
        first, count, end = job
        return make(first, count), first + count == end

    held: list[np.ndarray] = []
    with closing(ordered(work, jobs, threads, ahead + 1 - threads)) as made:  # it counts the part that it hands out
        for samples, last in made:
            held.append(samples)
            if last:
                batch, held = _joined(held), []
                yield batch


def _parts(first: int, count: int, size: int) -> Iterator[tuple[int, int]]:
    return ((first + offset, min(size, count - offset)) for offset in range(0, count, size))


def _on_demand(make, first: int, count: int, part: int, threads: int) -> np.ndarray:
    parts = list(_parts(first, count, part))
    return _joined(list(ordered(lambda job: make(*job), parts, min(threads, len(parts)), 0)))


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
