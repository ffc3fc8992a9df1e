"""A part of a dataset: some of the shards of its plan, made by themselves, for ``merge`` to join."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .._errors import InputError
from .plan import SHARD_RANGE, Plan

# Of a job that a scheduler starts many times: the variable with the number of this one, and how to ask for 0 to N - 1.
_SCHEDULERS = {
    "slurm": ("SLURM_ARRAY_TASK_ID", "sbatch --array=0-{}"),
    "kubernetes": ("JOB_COMPLETION_INDEX", "a Job with completionMode: Indexed and completions: {}"),
}
_MOST = 1_000_000  # parts


def part_recipe(recipe: dict, first: int, end: int) -> dict:
    """The recipe of shards ``first`` to ``end - 1``; that of the whole where these are all. Raises InputError."""
    shards = Plan.whole(recipe).shards
    if not 0 <= first < end <= shards:
        raise InputError(
            f"shard_range: {first}:{end}; {recipe['count']} samples in shards of {recipe['shard_size']} are {shards} "
            f"shards; give FIRST:END, END above FIRST and at most {shards}"
        )
    return dict(recipe) if (first, end) == (0, shards) else {**recipe, SHARD_RANGE: [first, end]}


def asked_part(recipe: dict, shard_range: str | None, part: str | None, environment: Mapping[str, str]) -> dict:
    """The recipe of the part that ``A:B`` or ``K/N`` asks for, or of the whole. Raises InputError."""
    if shard_range is not None and part is not None:
        raise InputError("shard_range, part: both say which part; give one of them")
    if shard_range is not None:
        return part_recipe(recipe, *parse_shard_range(shard_range))
    if part is not None:
        return part_recipe(recipe, *range_of_part(recipe, *parse_part(part, environment)))
    return recipe


def parse_shard_range(text: str) -> tuple[int, int]:
    """``A:B``: shards A to B - 1. Raises InputError."""
    found = re.fullmatch("([0-9]{1,20}):([0-9]{1,20})", text)
    if not found:
        raise InputError(f"--shard-range: {text!r}; give FIRST:END, as in 0:10 for shards 0 to 9")
    return int(found[1]), int(found[2])


def parse_part(text: str, environment: Mapping[str, str]) -> tuple[int, int]:
    """``K/N``: part K of N, K from 0 on, or the name of a scheduler for what its job's ``environment`` says.

    Raises InputError.
    """
    found = re.fullmatch(f"([0-9]{{1,20}}|{'|'.join(_SCHEDULERS)})/([0-9]{{1,20}})", text)
    if not found:
        raise InputError(
            f"--part: {text!r}; give K/N, as in 0/10 for the first of ten, or "
            + " or ".join(f"{scheduler}/N" for scheduler in _SCHEDULERS)
        )
    who, parts = found[1], int(found[2])
    if not 1 <= parts <= _MOST:
        raise InputError(f"--part: {parts} parts; it must be from 1 to {_MOST}")
    number = _number(who, parts, environment) if who in _SCHEDULERS else int(who)
    if number >= parts:
        raise InputError(f"--part: there is no part {number} of {parts}; they are 0 to {parts - 1}")
    return number, parts


def _number(who: str, parts: int, environment: Mapping[str, str]) -> int:
    """The number of this job of those that the scheduler ``who`` has started. Raises InputError."""
    variable, how = _SCHEDULERS[who]
    how = how.format(parts - 1 if who == "slurm" else parts)
    # Of an array that goes too far no task is to begin: numbered from 1, it would leave part 0 out.
    for name in (variable, "SLURM_ARRAY_TASK_MAX") if who == "slurm" else (variable,):
        value = environment.get(name)
        if value is None and name == variable:
            raise InputError(f"--part: {variable} is not set, so this is no job that {who} has numbered; use {how}")
        if value is not None and not (re.fullmatch("[0-9]{1,20}", value) and int(value) < parts):
            raise InputError(f"--part: {name} is {value!r}, parts are numbered 0 to {parts - 1}; use {how}")
    return int(environment[variable])


def range_of_part(recipe: dict, number: int, parts: int) -> tuple[int, int]:
    """The shards of part ``number`` of ``parts``, each of which has as many, or one more. Raises InputError."""
    shards = Plan.whole(recipe).shards
    if parts > shards:
        raise InputError(
            f"--part: {recipe['count']} samples in shards of {recipe['shard_size']} are {shards} shards, too few for "
            f"{parts} parts; ask for fewer, or for a smaller --shard-size"
        )
    return number * shards // parts, (number + 1) * shards // parts


def part_in_words(manifest: dict) -> str:
    """Which part a manifest is of."""
    first, end = manifest[SHARD_RANGE]
    return f"shards {first} to {end - 1} of 0 to {Plan.whole(manifest).shards - 1}"
