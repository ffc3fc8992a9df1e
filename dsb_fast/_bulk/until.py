"""A filtered dataset that ends with the N-th sample that is kept: as many are tried as that takes (docs/filters.md).

Shards are made whole until there are enough, some too many perhaps. Then the dataset becomes that of the recipe with
the smaller count, whose bytes it has: what lies behind its end is removed and the last shard made anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from .._errors import DatasetError, GenerationError, InputError
from .._filter.selection import KEEP
from .kept import KEPT, YIELD, stored, yield_in_words, yield_of
from .places import is_url
from .plan import SHARD_RANGE, Plan, Shard


def check_until(recipe: dict, until: int | None, place: str, engine: str = "local", recipe_only: bool = False) -> None:
    """Raises InputError if ``until`` is no number of samples, or is asked for where it can't be."""
    if until is None:
        return
    if isinstance(until, bool) or not isinstance(until, int) or not 1 <= until <= recipe["count"]:
        raise InputError(f"until: {until!r}; it must be from 1 to the number of samples to try, {recipe['count']}")
    if KEEP not in recipe:
        raise InputError("until: counts the samples that --keep keeps, and there is no --keep")
    for wrong, what in (
        (SHARD_RANGE in recipe, "a part of a dataset"),
        (engine != "local", f"engine {engine}"),
        (is_url(place), "a store"),
        (recipe_only, "a recipe without samples"),
    ):
        if wrong:
            raise InputError(
                f"until: not with {what}; a local run finds the number of samples that -n then takes there"
            )


class Target:
    """The sample number ``wanted`` of those that are kept, looked for in ``plan`` as its shards get ``records``."""

    def __init__(self, wanted: int, plan: Plan, records: Mapping[int, dict]):
        self.wanted, self.kept = wanted, 0  # kept: of the shards before the first that is missing
        self._plan, self._records, self._next = plan, records, 0

    def is_reached(self) -> bool:
        """Whether it is in a shard that is there, and all before it are."""
        while self.kept < self.wanted and self._next < self._plan.shards:
            record = self._records.get(self._plan[self._next].first)
            if record is None:
                return False
            self.kept += record[KEPT]
            self._next += 1
        return self.kept >= self.wanted

    @property
    def last(self) -> tuple[int, Shard]:
        """Once it is reached: the number of the shard that has it, and this shard as it ends with it."""
        shard = self._plan[self._next - 1]
        kept = stored(shard, self._records[shard.first]).kept
        kept = kept[: len(kept) - (self.kept - self.wanted)]
        return self._next - 1, Shard(shard.first, kept[-1] + 1 - shard.first).keeping(kept)

    @property
    def end(self) -> int:
        """Once it is reached: how many samples are tried up to it."""
        _, shard = self.last
        return shard.first + shard.tried - self._plan.start


def end_of_finished(place: str, manifest: dict, until: int) -> int | None:
    """How many samples of a finished dataset are tried up to the last that is wanted; None if it has too few.

    Raises DatasetError if it has more than are wanted.
    """
    kept = _kept(manifest)
    if kept > until:
        raise DatasetError(
            f"{place}: holds a dataset that {yield_in_words(manifest)}, more than the {until} of --until; "
            "name another folder, or use --overwrite"
        )
    if kept < until:
        return None
    target = Target(until, Plan.of(manifest), {record["first"]: record for record in manifest["shards"]})
    target.is_reached()
    return target.end


def _kept(manifest: dict) -> int:
    return yield_of(manifest, manifest["shards"])[YIELD][KEPT]


def refuse_fewer(place: str, manifest: dict, until: int | None) -> None:
    """Raises GenerationError if fewer samples were kept than ``until``, however many were tried."""
    if until is None:
        return
    kept = _kept(manifest)
    if kept >= until:
        return
    advice = "another --keep or a larger -n may do better"
    if kept:
        needed = math.ceil(manifest["count"] * until / kept)
        advice = f"the same command goes on with a larger -n, of about {needed} at this yield"
    raise GenerationError(f"{place}: {yield_in_words(manifest)}, fewer than the {until} of --until; {advice}")
