"""System calls that are written down, and that fail or stop the process where a test says so."""

from __future__ import annotations

import errno

from dsb_fast._bulk.system import System


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the program runs after it."""


CALLS = ("create", "append", "open", "write", "sync_file", "sync_filesystem", "close", "rename", "link",
         "sync_directory", "unlink", "remove_directory", "make_directories")  # fmt: skip


class RecordedSystem(System):
    """The real calls, each noted; call number ``stop_at`` raises ``error`` before or (``after``) after it is made."""

    def __init__(self, stop_at: int = -1, error: BaseException | None = None, after: bool = False):
        self.log: list[tuple[str, str]] = []
        self._paths: dict[int, str] = {}
        self._stop_at, self._error, self._after = (
            stop_at,
            error or OSError(errno.ENOSPC, "No space left on device"),
            after,
        )
        self.dead = False

    def _step(self, name, arguments, real):
        if self.dead:
            raise self._error
        number = len(self.log)
        target = arguments[-1] if name in ("rename", "link") else arguments[0]
        self.log.append((name, self._paths.get(target, target)))
        if number == self._stop_at:
            self.dead = isinstance(self._error, Killed)
            if self._after:
                self._do(name, arguments, real)
            raise self._error
        return self._do(name, arguments, real)

    def _do(self, name, arguments, real):
        result = real(*arguments)
        if name in ("create", "append", "open"):
            self._paths[result] = arguments[0]
        return result


def _wrap(name):
    def call(self, *arguments):
        return self._step(name, arguments, getattr(super(RecordedSystem, self), name))

    return call


for _name in CALLS:
    setattr(RecordedSystem, _name, _wrap(_name))


class Quick(RecordedSystem):
    """Waits for no disk: what a sync does is not seen before the power fails, only that it was asked for is."""

    def _do(self, name, arguments, real):
        return None if name.startswith("sync") else super()._do(name, arguments, real)
