"""A store in memory that fails as stores do: errors, hanging, half an object, other bytes, gone at any call."""

from __future__ import annotations

import itertools
import os
import threading

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from .recorded_system import Killed


class Throttled(Exception):
    """What a client library raises that knows nothing of OSError."""


class Faults:
    """Which calls fail, and how; calls are counted and noted."""

    def __init__(self, strike=lambda number, name, key: None):
        self.strike = strike
        self.log: list[tuple[str, str]] = []
        self._numbers, self._lock = itertools.count(), threading.Lock()

    def next(self, name: str, key: str) -> str | None:
        """The fault of this call."""
        with self._lock:
            self.log.append((name, key))
            return self.strike(next(self._numbers), name, key)


def once(k: int, fault: str) -> Faults:
    """Call ``k`` fails, and no other."""
    return Faults(lambda number, *_: fault if number == k else None)


def from_call(k: int, fault: str) -> Faults:
    """Call ``k`` and all that follow fail."""
    return Faults(lambda number, *_: fault if number >= k else None)


class FaultyFileSystem(MemoryFileSystem):
    """``faulty://``: memory, with ``FaultyFileSystem.faults`` on the way."""

    protocol = ("faulty",)
    store: dict = {}  # noqa: RUF012, as in the class above
    pseudo_dirs = [""]  # noqa: RUF012
    cachable = False
    faults = Faults()
    hung = threading.Event()  # when set, what hangs ends
    meeting = threading.Barrier(2)  # where a call that is to "meet" waits for another
    _inside = threading.local()

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("faulty://"))

    def _faulty(self, name, key, real):
        if getattr(self._inside, "call", None):  # a call that another one makes
            return real()
        self._inside.call = name
        try:
            return self._strike(self.faults.next(name, key), name, key, real)
        finally:
            self._inside.call = None

    def _strike(self, fault, name, key, real):
        if fault in ("half", "other") and name != "put_file":
            fault = None
        if fault == "hang":
            self.hung.wait(60)
            raise ConnectionError("hung up")
        if fault == "meet":
            self.meeting.wait(30)
        if fault == "before":
            raise OSError("Connection reset by peer")
        if fault == "throttled":
            raise Throttled("SlowDown: Please reduce your request rate.")
        if fault == "killed":
            raise Killed
        if fault == "denied":
            raise PermissionError("Access Denied")
        result = real()
        if fault in ("half", "half and killed", "other") and name == "put_file":
            data = self.cat_file(key)
            self.pipe_file(key, data[: len(data) // 2] if "half" in fault else bytes([data[0] ^ 1]) + data[1:])
        if fault == "after":
            raise TimeoutError("The read operation timed out")
        if fault in ("killed after", "half and killed"):
            raise Killed
        return result

    def find(self, path, **kwargs):
        """As in memory."""
        return self._faulty("find", path, lambda: super(FaultyFileSystem, self).find(path, **kwargs))

    def ls(self, path, detail=True, **kwargs):
        """As in memory."""
        return self._faulty("ls", path, lambda: super(FaultyFileSystem, self).ls(path, detail, **kwargs))

    def info(self, path, **kwargs):
        """As in memory."""
        return self._faulty("info", path, lambda: super(FaultyFileSystem, self).info(path, **kwargs))

    def get_file(self, rpath, lpath, **kwargs):
        """As in memory."""
        return self._faulty("get_file", rpath, lambda: super(FaultyFileSystem, self).get_file(rpath, lpath, **kwargs))

    def put_file(self, lpath, rpath, **kwargs):
        """As in memory."""
        return self._faulty("put_file", rpath, lambda: super(FaultyFileSystem, self).put_file(lpath, rpath, **kwargs))

    def open(self, path, mode="rb", **kwargs):
        """As in memory."""
        return self._faulty("open", path, lambda: super(FaultyFileSystem, self).open(path, mode, **kwargs))

    def rm_file(self, path):
        """As in memory."""
        return self._faulty("rm_file", path, lambda: super(FaultyFileSystem, self).rm_file(path))


def register() -> None:
    """Let fsspec know the protocol."""
    fsspec.register_implementation("faulty", FaultyFileSystem, clobber=True)


def clear() -> None:
    """Nothing is stored, nothing fails."""
    FaultyFileSystem.store.clear()
    FaultyFileSystem.pseudo_dirs[:] = [""]
    FaultyFileSystem.faults = Faults()


def objects(url: str) -> dict[str, bytes]:
    """Every object below ``url`` by its relative name."""
    fs, root = fsspec.core.url_to_fs(url)
    return {os.path.relpath(path, root): fs.cat_file(path) for path in sorted(fs.find(root))}
