"""What a disk, or a limit of the system, refuses, in one line that says how to go on."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from .._errors import GenerationError
from .places import is_url
from .shard_files import TEMPORARY

_GOES_ON = "finished shards are safe, and the same command goes on with the rest"
_NO_THREAD = "can't start new thread"  # what Python's RuntimeError says


def in_words(error: BaseException, where: str) -> str:
    """What went wrong in the folder or at the URL ``where``."""
    if isinstance(error, MemoryError):
        return "out of memory; fewer --workers or a smaller --batch-size need less"
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return f"no more threads can be started (ulimit -u, -v, or a container's limit); {_GOES_ON}"
    if isinstance(error, PermissionError) and not is_url(where) and str(error.filename or where).startswith(where):
        # trying again gives nobody the right to write
        return f"{where}: can't be written to ({error.strerror}); name a folder of your own"
    if isinstance(error, OSError) and error.strerror:
        return f"{_named(error) or where}: {error.strerror}; {_GOES_ON}"
    if isinstance(error, OSError):
        return f"{where}: {error}; {_GOES_ON}"
    return " ".join(str(error).split())


def _named(error: OSError) -> str:
    """The file that an error is about, as a user knows it; '' if it names none."""
    name = str(error.filename or "")
    if error.errno in (errno.ENOENT, errno.EEXIST) and os.path.basename(name).startswith(TEMPORARY):
        return f"{name} (is another run at work in this folder?)"
    return str(error.filename2 or name)  # of the two names of a rename the final one


def is_expected(error: BaseException) -> bool:
    """Whether ``error`` is of the disk or of the system's limits, and none of the program's own."""
    return isinstance(error, OSError) or (isinstance(error, RuntimeError) and _NO_THREAD in str(error))


@contextlib.contextmanager
def as_generation_errors(where: str) -> Iterator[None]:
    """Raises GenerationError for what is expected to go wrong in the folder or at the URL ``where``."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if not is_expected(error):
            raise
        raise GenerationError(in_words(error, where)) from error
