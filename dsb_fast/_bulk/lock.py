"""A folder's lock, and who holds it. It is on the folder itself, leaves no file and ends with the process."""

from __future__ import annotations

import errno
import fcntl
import os
import time

from .._errors import DatasetError

WAIT_S = 2.0  # worker processes of a run that was killed hold its lock until they notice: milliseconds
_LOCKS = "/proc/locks"


def lock(folder: str, folder_fd: int) -> None:
    """Hold the folder until ``folder_fd`` is closed. Raises DatasetError that names who does, if another run does."""
    end = time.monotonic() + WAIT_S
    while not is_free(folder_fd):
        if time.monotonic() > end:
            raise refusal(folder, folder_fd)
        time.sleep(0.02)


def refusal(place: str, fd: int) -> DatasetError:
    """What to say where the holder of ``fd``'s lock works on ``place``."""
    return DatasetError(f"{place}: {holder(fd)} is working on it; wait for it, or name another folder")


def is_free(fd: int) -> bool:
    """Lock the folder that is open as ``fd`` unless another run holds it; True where the file system has no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)  # without locks the user has to take care
    return True


def holder(fd: int) -> str:
    """Who holds the lock of the folder that is open as ``fd``, in words, as far as the system tells."""
    found = os.fstat(fd)
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        with open(_LOCKS) as file:
            rows = [line.split() for line in file]
    except OSError:  # not Linux, or hidden
        rows = []
    for row in rows:  # number, FLOCK, ADVISORY, WRITE, process, device and file, begin, end
        if len(row) > 5 and row[1] == "FLOCK" and row[5] == place and row[4].isdigit():
            if row[4] == str(os.getpid()):
                return "another call in this process"
            if os.path.exists(f"/proc/{row[4]}"):  # else its workers have it, or it is on another machine
                return f"another process ({row[4]})"
    return "another process"
