"""What a node of a Ray cluster does: a run of shards, published in a store or a folder that all nodes share."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from .._errors import DsbError, GenerationError
from .._version import __version__
from .failures import in_words
from .manifest_file import describe_difference
from .pipeline import Pipeline
from .plan import Shard
from .ray_progress import Reporter
from .ray_weights import digest_of, unpacked
from .shard_files import TEMPORARY, Folder
from .stats import Stats
from .system import System

_FENCE = TEMPORARY + "run-"
_FENCE_WAIT_S = 10.0  # a network file system may show a new file to other machines some seconds later
_opened: dict[str, tuple] = {}  # generator and format of the last job, for the next task in this process


def new_fence(folder: str, system: System) -> str:
    """A file that stands in ``folder`` as long as this run does: by it nodes know the folder, and that they are wanted.

    Its name is a temporary one: whoever takes the folder over, after this process was killed, removes it, and no task
    of this run that still lives somewhere gives a file its final name again.
    """
    path = os.path.join(os.path.abspath(folder), f"{_FENCE}{os.urandom(8).hex()}")
    system.close(system.create(path))
    return path


class _NodeSystem(System):
    """Temporary names that no other task has, and no final ones once the run has ended."""

    def __init__(self, fence: str):
        self._fence, self._mark = fence, os.urandom(4).hex()

    def _own(self, path: str) -> str:
        folder, name = os.path.split(path)
        if not name.startswith(TEMPORARY):
            return path
        return os.path.join(folder, f"{TEMPORARY}{self._mark}-{name[len(TEMPORARY) :]}")

    def create(self, path: str) -> int:
        return super().create(self._own(path))

    def uncache_path(self, path: str) -> None:
        super().uncache_path(self._own(path))

    def rename(self, old: str, new: str) -> None:
        if not os.path.exists(self._fence):
            raise GenerationError(f"{new}: the run that wanted it has ended")
        super().rename(self._own(old), new)

    def unlink(self, path: str) -> None:
        super().unlink(self._own(path))


class _NodeFolder:
    """The shared folder as a task has it; the driver has the journal."""

    def __init__(self, fence: str, folder_fd: int, note: Callable[[dict], None]):
        self.folder, self.folder_fd, self.system = os.path.dirname(fence), folder_fd, _NodeSystem(fence)
        self.note = note


def make_shards(job: dict, weights: dict | None, shards: list[tuple[int, int]], tally=None, number: int = 0) -> dict:
    """Make and publish ``shards``, each (first, count): "records", "stats" and "seconds", or what "failed".

    ``tally`` is told how far task ``number`` is.

    A failure is returned, not raised: Ray runs a task again if its process or node is lost, which may help, and not
    for an error of ours, which would come again.
    """
    try:
        generator, format_ = _open(job, weights)
        stats = Stats()
        begin = time.perf_counter()
        records: list[dict] = []
        with _folder(job, records.append) as folder:
            options = generator.model.options(**job["recipe"]["options"])
            Pipeline(
                partial(generator.make, job["recipe"]["seed"], options=options),
                format_,
                folder,
                job["batch_size"] or min(generator.batch_size, job["recipe"]["shard_size"]),
                job["threads"],
                Reporter(tally, number).add,
                stats,
            ).run(Shard(*shard) for shard in shards)
        return {"records": records, "stats": stats.as_dict(), "seconds": time.perf_counter() - begin}
    except (DsbError, OSError, MemoryError) as error:
        return {"failed": f"node {platform.node()}: {in_words(error, job['url'] or os.path.dirname(job['fence']))}"}


@contextmanager
def _folder(job: dict, note: Callable[[dict], None]) -> Iterator[Folder]:
    """Where shards go; ``note`` takes their records."""
    if job["url"] is not None:
        from .store_folder import StoreFolder

        with StoreFolder(job["url"], job["recipe"], note) as folder:
            yield folder
        return
    fence = job["fence"]
    end = time.monotonic() + _FENCE_WAIT_S
    while not os.path.exists(fence):
        if time.monotonic() > end:
            raise GenerationError(
                f"{os.path.dirname(fence)}: is not the folder that the command works on; name one that all nodes share"
            )
        time.sleep(0.2)
    fd = os.open(os.path.dirname(fence), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _NodeFolder(fence, fd, note)
    finally:
        os.close(fd)


def _open(job: dict, weights: dict | None) -> tuple:
    """Generator and format, those of the task before if it was of the same job."""
    key = json.dumps([job["recipe"], job["opened_with"], digest_of(weights)])
    if key not in _opened:
        from .._api import load
        from . import writers
        from .ray_cluster import import_ray

        _opened.clear()  # before another network is in memory
        arguments = dict(job["opened_with"])
        if weights:
            arguments[weights["argument"]] = unpacked(weights, import_ray().get)
        generator = load(**arguments)
        format_ = writers.find(job["recipe"]["format"])(writers.FormatContext.of(job["recipe"]))
        _check_same(generator, format_, job)
        _opened[key] = generator, format_
    return _opened[key]


def _check_same(generator, format_, job: dict) -> None:
    """Raises GenerationError if what is made here has not the bytes that the recipe promises."""
    recipe = job["recipe"]
    here = {
        **recipe,
        "weights_sha256": generator.model.info()["weights_sha256"],
        "graph_sha256": generator.graph_sha256,
        "grade": generator.backend.grade,
        "depends_on": dict(generator.backend.depends_on),
        "backend": generator.backend.name,
        "flavour": generator.flavour,
    }
    if format_.encoder:
        here["encoder"] = format_.encoder
    differences = describe_difference(recipe, here)
    if job["engine_version"] != __version__:
        differences.append(f"dsb_fast was {job['engine_version']}, now {__version__}")
    if differences:
        raise GenerationError(
            f"makes other bytes than where the command runs ({'; '.join(differences)}); "
            "nodes need the same versions of everything, and grade 'repeatable' the same type of CPU"
        )
