"""Cutting a range of samples into shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

DEFAULT_SHARD_SIZE = 256  # 20 MB of 8-lead ECGs: syncing one overlaps with making the next


@dataclass(frozen=True)
class Shard:
    """``count`` samples from number ``first`` on. Its name is its first number, at least nine digits."""

    first: int
    count: int

    @property
    def name(self) -> str:
        """Stem of the shard's file."""
        return f"{self.first:09d}"


@dataclass(frozen=True)
class Plan:
    """The shards of ``count`` samples from ``start`` on; a shard is made when it is asked for."""

    start: int
    count: int
    shard_size: int

    def __len__(self) -> int:
        return (self.count + self.shard_size - 1) // self.shard_size

    def __getitem__(self, k: int) -> Shard:
        if not 0 <= k < len(self):
            raise IndexError(k)
        first = k * self.shard_size
        return Shard(self.start + first, min(self.shard_size, self.count - first))

    def __iter__(self) -> Iterator[Shard]:
        return (self[k] for k in range(len(self)))
