"""Several processes on one folder: the parent holds plan, journal and manifest, each worker makes whole shards.

Parent and workers talk in lines of JSON over a socket each. A worker asks for a shard, publishes it, and says what its
record is; only the parent writes the journal. The folder's lock is shared with the workers, so that whoever comes after
a killed parent finds it locked until the last worker has ended, which it does when its socket closes.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

from .._backends.cuda_driver import gpus
from .._errors import GenerationError, InputError
from .._generator import Generator
from .interrupts import HeldInterrupts
from .manifest import Dataset
from .stats import Stats

_ON_GPUS = ("cuda", "tensorrt")  # devices
# sys.path as it is here: "python -m" would put the current folder before it.
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from dsb_fast._bulk.worker import main; main()"


def run_workers(
    generator: Generator,
    dataset: Dataset,
    batch_size: int | None,
    workers: int,
    threads: int | None,
    made: Callable[[int], None],
    stats: Stats,
) -> None:
    """What is missing of ``dataset``, by ``workers`` processes that each open the model anew.

    Raises GenerationError if one of them fails or dies; interrupted, it ends them all. Either way what they had not
    published is dropped.
    """
    if generator.opened_with is None:
        raise InputError("workers: only what dsb_fast.load has opened can be opened in another process; use 1")
    shards = dataset.missing()
    least = 2 if generator.backend.fixed_batch else 1  # one copies and encodes what a GPU made while another asks it
    threads = threads or max(least, -(-generator.backend.parallel // workers))
    if dataset.url and dataset.url.startswith("memory:"):
        raise InputError(f"workers: {dataset.url} is in the memory of one process; use 1")
    task = {
        "url": dataset.url,
        "folder": dataset.folder,
        "folder_fd": dataset.folder_fd,
        "recipe": dataset.recipe,
        "opened_with": generator.opened_with,
        "batch_size": batch_size,
        "threads": threads,
    }
    devices = worker_devices(generator.opened_with["device"], generator.backend.device, workers)
    tasks = [{**task, "opened_with": {**task["opened_with"], "device": device}} for device in devices]
    with _Workers(tasks) as crew:
        crew.serve(shards, dataset.accept, made, stats)


def worker_devices(asked: str, device: str, workers: int) -> list[str]:
    """The device of each worker, where ``asked`` was asked for and ``device`` found: a GPU each, in turn.

    ``asked`` with a number, or a machine with one GPU: the same for all.
    """
    count = len(gpus()) if device in _ON_GPUS and ":" not in asked else 0
    return [f"{device}:{number % count}" if count > 1 else asked for number in range(workers)]


class _Worker:
    """One process and the parent's end of its socket."""

    def __init__(self, task: dict, number: int):
        self.number = number
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(sys.path)],
                stdin=theirs,
                pass_fds=[task["folder_fd"]],
                start_new_session=True,  # a terminal's Ctrl-C is for the parent, which then ends its workers
            )
        self._held = b""
        self.send(task)

    def send(self, message) -> None:
        """One line. A worker that has gone is noticed when its socket is read."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(json.dumps(message).encode() + b"\n")

    def received(self) -> list[dict] | None:
        """The messages that have come; None if the worker has gone."""
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            return None
        if not data:
            return None
        *lines, self._held = (self._held + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """End the process, whatever it is doing, and wait until it has gone."""
        self.process.kill()
        self.process.wait()
        self.socket.close()


class _Workers:
    """All of them; leaving the context ends those that still run."""

    def __init__(self, tasks: list[dict]):
        self._all: list[_Worker] = []
        self._tasks = tasks

    def __enter__(self):
        try:
            for number, task in enumerate(self._tasks):
                self._all.append(_Worker(task, number))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for worker in self._all:
            worker.close()

    def serve(self, shards: Iterator, note: Callable[[dict], None], made: Callable[[int], None], stats: Stats) -> None:
        """Give out shards until there are none, and wait until all are published."""
        with HeldInterrupts() as interrupts, selectors.DefaultSelector() as selector:
            for worker in self._all:
                selector.register(worker.socket, selectors.EVENT_READ, worker)
            while selector.get_map():
                interrupts.check()
                for key, _ in selector.select(0.1):
                    worker = key.data
                    messages = worker.received()
                    if messages is None:
                        raise GenerationError(
                            f"worker {worker.number} {_how_it_ended(worker.process.wait())}; finished shards are safe, "
                            "and the same command goes on with the rest"
                        )
                    for message in messages:
                        if "stats" in message:  # its last
                            stats.merge(message["stats"])
                            selector.unregister(worker.socket)
                        else:
                            _answer(worker, message, shards, note, made)


def _answer(worker: _Worker, message: dict, shards: Iterator, note, made) -> None:
    """Deal with a message of ``worker``."""
    if "ask" in message:
        shard = next(shards, None)
        worker.send(None if shard is None else [shard.first, shard.count])
    elif "made" in message:
        made(message["made"])
    elif "published" in message:
        note(message["published"])
    elif "failed" in message:
        raise GenerationError(message["failed"])


def _how_it_ended(status: int) -> str:
    if status == -signal.SIGKILL:
        return "was killed (for want of memory? fewer --workers need less)"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
