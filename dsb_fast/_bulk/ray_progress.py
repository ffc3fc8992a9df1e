"""One progress of all tasks: they tell an actor how far they are, and the driver asks it. Neither waits."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

_EVERY_S = 0.5


class _Tally:
    """The actor: samples that tasks have made so far, by number of the task."""

    def __init__(self):
        self._made: dict[int, int] = {}

    def put(self, task: int, made: int) -> None:
        """``task`` is so far; it begins anew when it is run again."""
        self._made[task] = made

    def get(self) -> dict[int, int]:
        """All that was put."""
        return self._made


class Progress:
    """The driver's side. ``made(count)`` is called with what has been added; it never goes back.

    With ``live`` False there is no actor, and progress is made when tasks end; without the actor's answers too.
    """

    def __init__(self, ray, made: Callable[[int], None], live: bool):
        self._ray, self._made = ray, made
        self._ended, self._shown = 0, 0  # samples
        self._running: set[int] = set()
        self._answer, self._asked = None, 0.0
        self.tally = ray.remote(_Tally).options(num_cpus=0).remote() if live else None

    def begins(self, task: int) -> None:
        """A task is handed out."""
        self._running.add(task)

    def ends(self, task: int, count: int) -> None:
        """It has made all of its samples."""
        self._running.discard(task)
        self._ended += count
        self._show(self._ended)

    def look(self) -> None:
        """Ask now and then, and take what has been answered meanwhile."""
        if self.tally is None or time.monotonic() < self._asked + _EVERY_S:
            return
        self._asked = time.monotonic()
        with contextlib.suppress(self._ray.exceptions.RayError):
            if self._answer is None:
                self._answer = self.tally.get.remote()
            elif self._ray.wait([self._answer], timeout=0)[0]:
                answer, self._answer = self._answer, None
                made = self._ray.get(answer)
                self._show(self._ended + sum(made.get(task, 0) for task in self._running))

    def _show(self, made: int) -> None:
        if made > self._shown:
            added, self._shown = made - self._shown, made
            self._made(added)

    def close(self) -> None:
        """End the actor."""
        if self.tally is not None:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(self.tally)


class Reporter:
    """A task's side: :meth:`add` is called as samples are made."""

    def __init__(self, tally, task: int):
        self._tally, self._task = tally, task
        self._made, self._said = 0, 0.0

    def add(self, count: int) -> None:
        """``count`` more."""
        self._made += count
        if self._tally is None or time.monotonic() < self._said + _EVERY_S:
            return
        self._said = time.monotonic()
        with contextlib.suppress(Exception):  # of a progress bar nothing depends
            self._tally.put.remote(self._task, self._made)
