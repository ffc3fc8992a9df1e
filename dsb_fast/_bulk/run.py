"""From a recipe to a finished folder, in this process or in several."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from .._errors import InputError
from .._filter.selection import KEEP, Selection
from .._generator import Generator
from . import writers
from .failures import as_generation_errors
from .manifest import Dataset
from .manifest_file import MAX_SHARDS
from .pipeline import Pipeline
from .places import open_dataset, resolve
from .plan import Plan
from .recipe import make_recipe
from .stats import Stats
from .system import System
from .until import check_until

ENGINES = ("local", "ray")

__all__ = ["ENGINES", "generate_dataset", "make_recipe", "write_recipe"]


def generate_dataset(
    generator: Generator,
    folder: str,
    recipe: dict,
    options,
    format_: writers.Format,
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    extend: bool = False,
    until: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    keep: Callable | None = None,
    stats: Stats | None = None,
    system: System | None = None,
    engine: str = "local",
    ray_address: str | None = None,
) -> bool:
    """Make the dataset, or what is missing of it. False if it was finished already and nothing was written.

    ``folder`` may be a URL of a store, where ``system`` has no part; ``workers`` above 1: so many processes, each with
    its share of the cores; ``threads`` that make samples in a process (default: what the backend has a use for);
    ``extend``: a dataset of the same recipe with fewer samples is made longer; ``until``: it ends when so many samples
    are kept, if it gets so far; ``progress(done, of)`` is called after every batch, with ``until`` of samples kept;
    ``keep`` is the function that the recipe names, if it names one; ``stats`` takes where the time went;
    ``engine`` "ray": as tasks on a Ray cluster, that of ``ray_address``, of ``RAY_ADDRESS``, or one started here.

    Raises DatasetError if the folder can't be used, InputError if there are too many shards, GenerationError if the
    work fails; finished shards stay and the same call goes on with the rest.
    """
    _check_engine(engine, ray_address)
    _check_shards(recipe)
    _check_keep(recipe, keep, workers, engine)
    stats, folder = stats or Stats(), resolve(folder)
    check_until(recipe, until, folder, engine)
    begin = time.perf_counter()
    try:
        with (
            as_generation_errors(folder),
            open_dataset(folder, recipe, format_, overwrite, extend, system, until) as dataset,
        ):
            if dataset.complete:
                return False
            made = _Progress(progress, dataset).add
            if engine == "ray":
                from .ray_engine import run_on_ray

                run_on_ray(
                    generator, dataset, batch_size, workers, threads, made, stats, ray_address, progress is not None
                )
            elif workers and workers > 1:
                from .workers import run_workers

                run_workers(generator, dataset, batch_size, workers, threads, made, stats)
            else:
                run_here(generator, dataset, options, batch_size, threads, made, stats, keep)
            if until:
                dataset.end_at_target()
                run_here(generator, dataset, options, batch_size, threads, made, stats, keep)
            dataset.finish()
            return True
    finally:
        stats.elapsed_s += time.perf_counter() - begin


def _check_engine(engine: str, ray_address: str | None) -> None:
    """Raises InputError, and MissingDependencyError before anything is written."""
    if engine not in ENGINES:
        raise InputError(f"engine: {engine!r}; there are {', '.join(ENGINES)}")
    if engine == "ray":
        from .ray_cluster import import_ray

        import_ray()
    elif ray_address is not None:
        raise InputError("ray_address: is for engine ray; leave it out, or ask for --engine ray")


def _check_shards(recipe: dict) -> None:
    """Raises InputError if the dataset's manifest would be one that nobody can read."""
    if Plan.of(recipe).shards > MAX_SHARDS:
        raise InputError(
            f"shard_size: {Plan.of(recipe).shards} shards are more than a dataset.json holds ({MAX_SHARDS}); "
            "ask for a larger --shard-size, or make parts of it (--part K/N)"
        )


def _check_keep(recipe: dict, keep: Callable | None, workers: int | None, engine: str) -> None:
    """Raises InputError if a function is to be kept by that is not there, or is not everywhere."""
    if keep is None:
        Selection.of(recipe)
    elif not isinstance(recipe.get(KEEP), dict):
        raise InputError("keep: a function, but the recipe names none; pass it to make_recipe too")
    if keep is not None and ((workers and workers > 1) or engine != "local"):
        raise InputError("workers, engine: keep is a function, which other processes have not; give a condition's text")


def run_here(
    generator: Generator, dataset: Dataset, options, batch_size, threads, made, stats: Stats, keep=None
) -> None:
    """What is missing of ``dataset``, on this process's threads."""
    threads = threads or generator.backend.parallel
    share = generator.share(dataset.plan.count - dataset.samples_there, threads)
    batch_size = batch_size or min(generator.batch_size, share)
    make = partial(generator.make, dataset.recipe["seed"], options=options)
    Pipeline(make, dataset.format, dataset, batch_size, threads, made, stats, keep).run(dataset.missing())


def write_recipe(folder: str, recipe: dict, format_: writers.Format, overwrite: bool = False) -> None:
    """A folder with ``dataset.json`` alone, from which the dataset can be made.

    Raises DatasetError if the folder can't be used, GenerationError if it can't be written.
    """
    folder = resolve(folder)
    with as_generation_errors(folder), open_dataset(folder, recipe, format_, overwrite) as dataset:
        dataset.leave_recipe()


class _Progress:
    def __init__(self, call, dataset: Dataset):
        self._call, self._dataset = call, dataset
        self._of = dataset.until or dataset.plan.count
        self._done = 0 if dataset.until else dataset.samples_there
        self.add(0)

    def add(self, count: int) -> None:
        if not self._dataset.until:
            self._done += count
        elif self._dataset.target:
            self._done = max(self._done, min(self._dataset.target.kept, self._of))
        if self._call:
            self._call(self._done, self._of)
