"""A worker process: makes the shards that its parent gives out. Started by workers.py, and nothing else."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from .._errors import DsbError, GenerationError
from .failures import in_words, is_expected
from .plan import Shard
from .stats import Stats
from .system import System

if TYPE_CHECKING:
    from .store_folder import StoreFolder


class Parent:
    """The worker's end of the socket; messages may be sent from any thread."""

    def __init__(self, connection: socket.socket):
        self._connection, self._lines = connection, connection.makefile("rb")
        self._sending = threading.Lock()

    def send(self, **message) -> None:
        """One line."""
        with self._sending:
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self):
        """One message."""
        line = self._lines.readline()
        if not line:  # the parent has gone
            os._exit(1)
        return json.loads(line)

    def shards(self) -> Iterator[Shard]:
        """Shards as the parent gives them out, asked for one by one."""
        while True:
            self.send(ask=1)
            shard = self.receive()
            if shard is None:
                return
            yield Shard(*shard)

    def end_with(self) -> None:
        """From now on, when the parent goes this process goes at once: what it has not published is nobody's."""

        def watch():
            poll = select.poll()
            poll.register(self._connection, select.POLLHUP | getattr(select, "POLLRDHUP", 0))
            poll.poll()
            os._exit(1)

        threading.Thread(target=watch, daemon=True, name="dsb_fast_watch").start()


class SharedFolder:
    """The parent's folder: its lock, inherited, and its journal, by message."""

    def __init__(self, folder: str, folder_fd: int, parent: Parent):
        self.folder, self.folder_fd, self.system = folder, folder_fd, System()
        self._parent = parent

    def note(self, record: dict) -> None:
        """Tell the parent, which has the journal."""
        self._parent.send(published=record)

    def settle(self) -> None:
        """Nothing: what was noted is on the disk."""


def _folder(task: dict, parent: Parent) -> SharedFolder | StoreFolder:
    """Where shards go. In a store this process does all; its spool is in that of the parent, which clears it."""
    if task["url"] is None:
        return SharedFolder(task["folder"], task["folder_fd"], parent)
    from .store_folder import StoreFolder

    return StoreFolder(task["url"], task["recipe"], lambda record: parent.send(published=record), task["folder"])


def main() -> None:
    """Work until the parent has no more shards. The socket is standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent decides
    parent = Parent(socket.socket(fileno=os.dup(0)))
    parent.end_with()
    task = parent.receive()
    try:
        _work(parent, task)
    except (DsbError, OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_expected(error):
            raise
        parent.send(failed=in_words(error, task["url"] or task["folder"]))
        os._exit(1)


def _work(parent: Parent, task: dict) -> None:
    from .._api import load
    from . import writers
    from .pipeline import Pipeline

    recipe = task["recipe"]
    generator = load(**task["opened_with"])
    if generator.graph_sha256 != recipe["graph_sha256"] or generator.backend.name != recipe["backend"]:
        raise GenerationError(f"worker: opens another network ({generator.backend.name}) than its parent; try again")
    options = generator.model.options(**recipe["options"])
    format_ = writers.find(recipe["format"])(writers.FormatContext.of(recipe))
    stats = Stats()
    folder = _folder(task, parent)
    Pipeline(
        partial(generator.make, recipe["seed"], options=options),
        format_,
        folder,
        task["batch_size"] or min(generator.batch_size, recipe["shard_size"]),
        task["threads"],
        lambda count: parent.send(made=count),
        stats,
    ).run(parent.shards())
    folder.settle()
    parent.send(stats=stats.as_dict())
    os._exit(0)  # nothing is left to do, and nobody waits for an interpreter to be taken down
