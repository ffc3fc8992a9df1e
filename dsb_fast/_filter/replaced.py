"""Samples for training: what a condition rejects is replaced, so that each place has a sample whoever makes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .._errors import GenerationError, InputError
from .selection import Selection

STEP = 1 << 48  # numbers between the samples that are tried for a place; a training set ends before
TRIES = 1000  # for a place, so that a condition that nothing meets ends


@dataclass(frozen=True)
class Block:
    """Samples [n, ...], their numbers, and, where they are measured, their labels float32 [n, labels]."""

    samples: np.ndarray
    numbers: Sequence[int]
    labels: np.ndarray | None = None


def check_end(end: int) -> None:
    """Raises InputError if sample ``end - 1`` has the number of one that may replace another."""
    if end > STEP:
        raise InputError(f"keep: sample {end - 1}; those that replace others begin at 2^48, so numbers end there")


def make_block(make: Callable[[int, int], np.ndarray], selection: Selection, first: int, count: int) -> Block:
    """Places ``first`` to ``first + count - 1``: in place i the first that is kept of samples i, i + STEP, ...

    ``make(first, count)`` gives samples. Raises GenerationError if none of ``TRIES`` is kept.
    """
    samples = make(first, count)
    numbers = list(range(first, first + count))
    kept, found = selection.of_batch(samples)
    labels = np.empty((count, len(selection.annotate)), np.float32)
    for column, name in enumerate(selection.annotate):
        labels[kept, column] = found[name]
    if not kept.all():
        samples = samples.copy()
    for k in np.flatnonzero(~kept).tolist():
        numbers[k], samples[k], found = _replacement(make, selection, first + k)
        labels[k] = [found[name][0] for name in selection.annotate]
    return Block(samples, numbers, labels)


def _replacement(make, selection: Selection, place: int) -> tuple[int, np.ndarray, dict[str, np.ndarray]]:
    for number in range(place + STEP, place + TRIES * STEP, STEP):
        sample = make(number, 1)
        kept, labels = selection.of_batch(sample)
        if kept[0]:
            return number, sample[0], labels
    raise GenerationError(f"keep: none of {TRIES} samples that were tried in place of {place} is kept; ask for less")
