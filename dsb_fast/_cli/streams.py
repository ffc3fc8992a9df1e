"""Standard streams that can be written to, whatever the process was started with."""

from __future__ import annotations

import contextlib
import os
import sys


def settle() -> None:
    """Open the standard streams that are closed, on /dev/null, and let names that they can't encode be written.

    Descriptors 0 to 2 would otherwise be given to the next files, and what a library prints would end in a dataset.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            with contextlib.suppress(OSError):  # the lowest one that is free is taken, which is this
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", "") == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
