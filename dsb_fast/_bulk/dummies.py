"""Stand-ins that do nothing, so that each of the other stages can be timed alone (benchmarks/cases/bulk_stages.py)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .system import System
from .writers import Format


class DummySystem(System):
    """A disk that takes everything and keeps nothing."""

    def create(self, path):
        return -1

    append = create

    def write(self, fd, data):
        return None

    def sync_file(self, fd):
        return None

    sync_filesystem = close = uncache = uncache_path = sync_file

    def rename(self, old, new):
        return None

    def sync_directory(self, path):
        return None

    unlink = make_directories = sync_directory


@dataclass
class DummyFolder:
    """A folder on no disk."""

    folder: str = ""
    folder_fd: int = -1
    system: System = field(default_factory=DummySystem)

    def note(self, record: dict) -> None:
        """Nobody keeps a journal."""


def repeated(samples: np.ndarray):
    """A generator that returns the same samples [n, ...] again and again."""
    return lambda first, count: samples[np.arange(count) % len(samples)] if count > len(samples) else samples[:count]


def encoded_once(format_: Format, samples: np.ndarray) -> Format:
    """``format_`` with an encoder that returns what it made of ``samples`` [n, ...], whatever it is given."""
    made = [format_.encode(samples[k : k + 1], k) for k in range(len(samples))]
    format_.encode = lambda given, first=0: [part for parts in made[: len(given)] for part in parts]
    return format_
