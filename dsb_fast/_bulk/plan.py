"""Cutting a range of samples into shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

SHARD_RANGE = "shard_range"  # in recipes of parts: first shard, and the one after the last
DEFAULT_SHARD_SIZE = 256  # 20 MB of 8-lead ECGs: syncing one overlaps with making the next
_NUMBERS_AT_ONCE = 4096


@dataclass(frozen=True)
class Shard:
    """``count`` samples from number ``first`` on. Its name is its first number, at least nine digits.

    Once it is known which of the ``tried`` samples of a filtered dataset are ``kept``, by number, ``count`` is theirs.
    ``labels`` has float64 [count] by name, where a dataset has labels and they are known.
    """

    first: int
    count: int
    kept: tuple[int, ...] | None = None
    tried: int = 0
    labels: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """Stem of the shard's file."""
        return f"{self.first:09d}"

    @property
    def numbers(self) -> Sequence[int]:
        """Of its samples, in order."""
        return range(self.first, self.first + self.count) if self.kept is None else self.kept

    def keeping(self, kept: tuple[int, ...]) -> Shard:
        """Of this shard's samples those of these numbers."""
        return Shard(self.first, len(kept), kept, self.count)


def runs(numbers: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Rising ``numbers`` as position, first number and length of each row of consecutive ones."""
    begin = 0
    for k in range(1, len(numbers) + 1):
        if k == len(numbers) or numbers[k] != numbers[k - 1] + 1:
            yield begin, numbers[begin], k - begin
            begin = k


@dataclass(frozen=True)
class Plan:
    """The shards of ``count`` samples from ``start`` on; a shard is made when it is asked for."""

    start: int
    count: int
    shard_size: int

    @classmethod
    def whole(cls, recipe: dict) -> Plan:
        """The plan of a recipe or manifest; of a part that of the dataset that it is a part of."""
        return cls(recipe["start"], recipe["count"], recipe["shard_size"])

    @classmethod
    def of(cls, recipe: dict) -> Plan:
        """The shards that a recipe or manifest calls for; of a part its own alone."""
        plan = cls.whole(recipe)
        return plan.part(*recipe[SHARD_RANGE]) if SHARD_RANGE in recipe else plan

    def part(self, first: int, end: int) -> Plan:
        """Shards ``first`` to ``end - 1`` of this plan, with the samples and names that they have in it."""
        begin = first * self.shard_size
        return Plan(self.start + begin, min(end * self.shard_size, self.count) - begin, self.shard_size)

    def shard_of(self, record: dict) -> Shard | None:
        """The shard that a record is of; None if it is of none of these."""
        k = (record["first"] - self.start) // self.shard_size
        if not 0 <= k < self.shards or (self[k].first, self[k].count) != (record["first"], record["count"]):
            return None
        return self[k]

    @property
    def shards(self) -> int:
        """How many there are; ``len`` can't tell more than 2^63."""
        return -(-self.count // self.shard_size)

    def __len__(self) -> int:
        return self.shards

    def __getitem__(self, k: int) -> Shard:
        if not 0 <= k < self.shards:
            raise IndexError(k)
        first = k * self.shard_size
        return Shard(self.start + first, min(self.shard_size, self.count - first))

    def numbers(self) -> Iterator[Sequence[int]]:
        """Of all samples that are stored, in order, some at a time."""
        end = self.start + self.count
        return (range(k, min(k + _NUMBERS_AT_ONCE, end)) for k in range(self.start, end, _NUMBERS_AT_ONCE))

    def __iter__(self) -> Iterator[Shard]:
        return (self[k] for k in range(self.shards))
