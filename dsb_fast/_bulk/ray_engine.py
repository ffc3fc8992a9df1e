"""The plan on a Ray cluster: this process holds lock, journal and manifest, tasks on the nodes make runs of shards."""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterator

from .._backends.base import cores
from .._errors import GenerationError, InputError
from .._generator import Generator
from .._version import __version__
from .interrupts import HeldInterrupts
from .manifest import Dataset
from .plan import Shard
from .ray_cluster import connected
from .ray_progress import Progress
from .ray_task import make_shards, new_fence
from .ray_weights import packed
from .stats import Stats

_TASK_S = 3.0  # of work a task: far above what Ray takes for one, and little to do again when a node is lost
_TASK_SHARDS = 1024
_RETRIES = 10  # of one task, when its process or node is lost
_LOOK_S = 5.0  # how often the cluster is asked for its size
_PATIENCE_S = 30.0  # without a node that could run a task, before that is said
_CANCEL_S = 10.0


def run_on_ray(
    generator: Generator,
    dataset: Dataset,
    batch_size: int | None,
    workers: int | None,
    threads: int | None,
    made: Callable[[int], None],
    stats: Stats,
    address: str | None = None,
    live: bool = True,
) -> None:
    """What is missing of ``dataset``, by tasks on the cluster at ``address`` (see :func:`ray_cluster.connected`).

    A task takes ``threads`` cores (default 1) and, of a generator on CUDA, one GPU; ``workers`` run at once at most.
    ``made`` is called as samples are made, all over the cluster, or, not ``live``, as tasks end.
    Raises InputError for a generator or an address that can't be used, GenerationError if a task fails or its process
    is lost time and again; then, or interrupted, tasks are cancelled, and what they had not published is dropped.
    """
    if generator.opened_with is None:
        raise InputError("engine: only what dsb_fast.load has opened can be opened on another machine; use local")
    if dataset.url and dataset.url.startswith("memory:"):
        raise InputError(f"engine: {dataset.url} is in the memory of one process; use local")
    on_gpu = generator.backend.device in ("cuda", "tensorrt")
    threads = threads or (generator.backend.parallel if on_gpu else 1)
    needs = {"num_cpus": 1, "num_gpus": 1} if on_gpu else {"num_cpus": threads}
    with HeldInterrupts() as interrupts, connected(address, max(cores(), needs["num_cpus"])) as ray:
        interrupts.check()
        job = {
            "url": dataset.url,
            "fence": None if dataset.url else new_fence(dataset.folder, dataset.system),
            "recipe": dataset.recipe,
            "engine_version": __version__,
            # Ray shows a task the GPUs that are for it alone; "auto" could take another device on another machine.
            "opened_with": {**generator.opened_with, "device": generator.backend.device},
            "batch_size": batch_size,
            "threads": threads,
        }
        crew = _Crew(ray, job, packed(generator.opened_with, ray.put), needs, workers)
        with contextlib.closing(Progress(ray, made, live)) as progress:
            try:
                crew.serve(dataset, interrupts, progress, stats)
            finally:
                crew.cancel()
        stats.threads = {stage: crew.most * threads for stage, threads in crew.threads.items()}
        stats.cores = crew.most * needs["num_cpus"]
    if dataset.url is None:
        dataset.remove_temporaries()  # the fence, and what lost processes left


class _Crew:
    """The tasks under way."""

    def __init__(self, ray, job: dict, weights: dict | None, needs: dict, workers: int | None):
        self._ray, self._needs, self._workers = ray, needs, workers
        self._make = ray.remote(make_shards).options(**needs, max_retries=_RETRIES, retry_exceptions=False)
        self._job, self._weights = ray.put(job), weights
        self._pending: dict = {}  # number and shards of a task, by its reference
        self._numbers = itertools.count()
        self._shard_s = _TASK_S  # that a shard took of late: a first task has one
        self._room, self._looked, self._idle_since = 0, 0.0, time.monotonic()
        self.most = 1  # tasks that ran at once
        self.threads: dict[str, int] = {}  # of a task

    def serve(self, dataset: Dataset, interrupts: HeldInterrupts, progress: Progress, stats: Stats) -> None:
        """Hand out what is missing, and wait until all of it is published."""
        shards, left = dataset.missing(), dataset.plan.shards - len(dataset.records)
        while left:
            interrupts.check()
            self._look()
            self._hand_out(shards, left, progress)
            progress.look()
            done, _ = self._ray.wait(list(self._pending), num_returns=len(self._pending), timeout=0.1)
            for reference in done:
                number, run, result = self._result(reference)
                for record in result["records"]:
                    dataset.accept(record)
                progress.ends(number, sum(count for _, count in run))
                left -= len(run)
                self.threads = result["stats"]["threads"]
                stats.merge({**result["stats"], "threads": {}})
                self._shard_s = result["seconds"] / len(run)

    def _look(self) -> None:
        """See how many tasks can run at once, now and then: nodes come and go."""
        if time.monotonic() < self._looked + _LOOK_S:
            return
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        self._looked = time.monotonic()
        wanted = {name[4:].upper()[:-1]: count for name, count in self._needs.items()}  # CPU, GPU
        room = sum(min(int(node.get(name, 0) // count) for name, count in wanted.items()) for node in nodes)
        self._room = min(room, self._workers or room)
        self.most = max(self.most, self._room)
        if room:
            self._idle_since = self._looked
        elif self._looked > self._idle_since + _PATIENCE_S:
            self._idle_since = self._looked
            said = ", ".join(f"{count} {name}" for name, count in wanted.items())
            logging.getLogger("dsb_fast").warning("ray: no node has %s for a task; waiting for one", said)

    def _hand_out(self, shards: Iterator[Shard], left: int, progress: Progress) -> None:
        """Keep every slot busy and one task waiting behind it: so a cluster that can grow sees that it should."""
        wanted = self._room if self._workers else 2 * self._room
        while len(self._pending) < max(wanted, 1):
            size = min(int(_TASK_S / max(self._shard_s, 1e-6)), -(-left // (2 * max(self._room, 1))), _TASK_SHARDS)
            run = [(shard.first, shard.count) for shard in itertools.islice(shards, max(size, 1))]
            if not run:
                return
            number = next(self._numbers)
            progress.begins(number)
            reference = self._make.remote(self._job, self._weights, run, progress.tally, number)
            self._pending[reference] = number, run

    def _result(self, reference) -> tuple[int, list, dict]:
        number, run = self._pending.pop(reference)
        try:
            result = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise GenerationError(
                f"ray: shard {run[0][0]} could not be made ({_reason(error)}); finished shards are safe, and the same "
                "command goes on with the rest"
            ) from None
        if "failed" in result:
            raise GenerationError(result["failed"])
        return number, run, result

    def cancel(self) -> None:
        """End the tasks that still run, and wait until they have gone: gently, then at once."""
        left, self._pending = list(self._pending), {}
        for force in (False, True):
            if not left:
                return
            for reference in left:
                with contextlib.suppress(Exception):  # one that has ended, or a cluster that has gone
                    self._ray.cancel(reference, force=force)
            with contextlib.suppress(self._ray.exceptions.RayError):
                _, left = self._ray.wait(left, num_returns=len(left), timeout=_CANCEL_S)


def _reason(error: Exception) -> str:
    """Ray's words, of which the last line says most."""
    if getattr(error, "cause", None) and isinstance(error.cause, ModuleNotFoundError):
        return f"a node lacks {error.cause.name}; every node needs dsb-fast as it is installed here"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return (lines[-1] if hasattr(error, "cause") else lines[0])[:300]
