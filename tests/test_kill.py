"""Real kills: the process is ended at random moments and started again; the bytes are those of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from references.trees import tree

pytestmark = pytest.mark.variant_independent
COUNT = 60


def _arguments(folder, format):
    return [sys.executable, "-m", "dsb_fast", "generate", "cardiovascular.ecg", "-n", str(COUNT), "-o", str(folder),
            "--format", format, "--shard-size", "4", "--batch-size", "2", "--seed", "3", "--device", "cpu"]  # fmt: skip


def _whole(tmp_path_factory, format):
    folder = tmp_path_factory.mktemp("whole") / format
    begin = time.monotonic()
    subprocess.run(_arguments(folder, format), check=True, capture_output=True, cwd=folder.parent)
    return tree(folder), time.monotonic() - begin


@pytest.mark.parametrize(("format", "kills"), [("asc", 16), ("npy", 14)])
def test_kill_9_at_random_moments(tmp_path, tmp_path_factory, monkeypatch, format, kills):
    expected, seconds = _whole(tmp_path_factory, format)
    moments = random.Random(format)
    monkeypatch.chdir(tmp_path)  # "python -m" from the repository would run the source tree
    folder, killed = tmp_path / "d", 0
    for attempt in range(kills * 20):
        process = subprocess.Popen(_arguments(folder, format), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.1, 1.05 * seconds))
        process.kill()
        if process.wait() == 0:  # done before the kill: begin another folder
            assert tree(folder) == expected
            folder = tmp_path / f"d{attempt}"
        else:
            assert process.returncode == -signal.SIGKILL
            killed += 1
            if killed == kills:
                break
    assert killed == kills
    subprocess.run(_arguments(folder, format), check=True, capture_output=True)
    assert tree(folder) == expected


# A suite that was started in the background has SIGINT ignored, and its children inherit that.
_AS_IN_A_TERMINAL = """
import signal, sys
from dsb_fast._cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_and_terminated(tmp_path, tmp_path_factory, number, status):
    expected, _ = _whole(tmp_path_factory, "asc")
    folder = tmp_path / "d"
    arguments = [a if a != str(COUNT) else "100000" for a in _arguments(folder, "asc")[3:]]
    process = subprocess.Popen(
        [sys.executable, "-c", _AS_IN_A_TERMINAL, *arguments],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(6000):
        if (folder / "11.asc").exists():
            break
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(120) == status
    message = process.stderr.read().strip()
    assert len(message.splitlines()) == 1 and "goes on" in message
    left = [name for name in os.listdir(folder) if name.startswith(".dsb-tmp")]
    assert not left
    for name in ("0.asc", "7.asc", "11.asc"):
        assert (folder / name).read_bytes() == expected[name]


_STEPS = """
import os, signal, sys
from dsb_fast._bulk.system import System
from dsb_fast._cli import main

calls, after = 0, int(sys.argv[2])

def counted(method):
    def call(self, *arguments):
        global calls
        result = method(self, *arguments)
        calls += 1
        if calls == after:
            signal.raise_signal(int(sys.argv[1]))
        return result
    return call

signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("create", "write", "close"):
    setattr(System, name, counted(getattr(System, name)))
sys.exit(main(sys.argv[3:]))
"""


INTERRUPTED, TERMINATED = (1, 2, 7, 8, 9, 10, 11, 12, 13), (2, 8, 11)  # handled alike


@pytest.mark.parametrize(
    ("number", "after"), [(signal.SIGINT, k) for k in INTERRUPTED] + [(signal.SIGTERM, k) for k in TERMINATED]
)
def test_a_signal_between_two_steps_of_writing_leaves_no_temporary_file(tmp_path, number, after):
    folder = tmp_path / "d"
    command = [sys.executable, "-c", _STEPS, str(int(number)), str(after), *_arguments(folder, "asc")[3:]]
    ended = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], ended.stderr
    assert not [name for name in os.listdir(folder) if name.startswith(".dsb-tmp")]
