"""Two runs into one folder: the second names the first, and what a killed one leaves stops nobody."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import dsb_fast
from dsb_fast._bulk import lock

pytestmark = pytest.mark.variant_independent

HOLD = """
import os, sys
from dsb_fast._bulk.lock import lock
lock(sys.argv[1], os.open(sys.argv[1], os.O_RDONLY))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    """A folder and its descriptor."""
    fd = os.open(tmp_path, os.O_RDONLY)
    yield tmp_path, fd
    os.close(fd)


def test_the_other_process_is_named_and_its_end_is_that_of_the_lock(folder, monkeypatch):
    monkeypatch.setattr(lock, "WAIT_S", 0.1)
    path, fd = folder
    other = subprocess.Popen([sys.executable, "-c", HOLD, path], cwd=path, stdin=-1, stdout=-1, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(dsb_fast.DatasetError, match=rf"another process \({other.pid}\) is working on it") as raised:
            lock.lock(str(path), fd)
        assert "\n" not in str(raised.value)
        monkeypatch.setattr(lock, "_LOCKS", str(path / "nothing"))  # another system, or hidden
        with pytest.raises(dsb_fast.DatasetError, match="another process is working on it"):
            lock.lock(str(path), fd)
    finally:
        other.kill()
        other.communicate()
    lock.lock(str(path), fd)


def test_a_system_that_writes_something_else_there(folder, monkeypatch, tmp_path):
    path, fd = folder
    holder = os.open(path, os.O_RDONLY)
    lock.lock(str(path), holder)
    for text in ("", "1: FLOCK\n", "x y z\n\n", "1: FLOCK ADVISORY WRITE -1 00:00:0 0 EOF\n"):
        (tmp_path / "locks").write_text(text)
        monkeypatch.setattr(lock, "_LOCKS", str(tmp_path / "locks"))
        assert lock.holder(fd) == "another process"
    os.close(holder)
