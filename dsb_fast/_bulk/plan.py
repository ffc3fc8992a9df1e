"""Cutting a range of samples into shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SHARD_RANGE = "shard_range"  # in recipes of parts: first shard, and the one after the last
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

    def __iter__(self) -> Iterator[Shard]:
        return (self[k] for k in range(self.shards))
