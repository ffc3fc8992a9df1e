"""Where the package under test comes from, and a cache folder of the tests' own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# OpenMP's threads spin while they wait for the next small array, which takes the other cores from everyone. Kernels of
# ours use none of them; processes that tests start inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

DATA = Path(__file__).parent / "data"


def pytest_configure(config):
    """Refuse to test a source tree that is not what is installed: it lacks the extension and dsb_fast.export."""
    import dsb_fast.export

    import dsb_fast.ops
    from dsb_fast import _kernels

    if _kernels.native is None and os.environ.get("DSB_NATIVE", "1") != "0":
        raise pytest.UsageError("the compiled extension is not installed; pip install '.[cpu,test]' builds it")
    assert Path(dsb_fast.export.__file__).name == "__init__.py"
    if os.environ.get("DSB_REQUIRE_LIBRARY") == "1":
        dsb_fast.ops.library_path()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Graphs are cached where no other run sees them, and nothing is fetched from anywhere."""
    os.environ["DSB_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["DSB_OFFLINE"] = "1"
    yield


@pytest.fixture(scope="session")
def data() -> Path:
    """tests/data."""
    return DATA


@pytest.fixture(scope="session")
def generator():
    """The published ECG model on the CPU."""
    import dsb_fast

    return dsb_fast.load("cardiovascular.ecg", device="cpu")


@pytest.fixture
def process(tmp_path):
    """Run dsb-fast in an empty folder, as a process of its own; returns the finished process (text)."""

    def run(*arguments, env=None, check=None, cwd=None):
        done = subprocess.run(
            [sys.executable, "-m", "dsb_fast", *map(str, arguments)],
            cwd=cwd or tmp_path,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check is not None:
            assert done.returncode == check, done.stderr
        return done

    run.folder = tmp_path
    return run


@pytest.fixture
def command(tmp_path, capfd, monkeypatch):
    """Run dsb-fast in an empty folder, in this process, which spares its start; returns what ``process`` does.

    For what a process of its own doesn't show better: not for signals, tracebacks, imports or kernel variants.
    """
    from dsb_fast import _cli

    def run(*arguments, env=None, check=None):
        words = list(map(str, arguments))
        capfd.readouterr()  # what was printed before is not the command's
        terminated = signal.getsignal(signal.SIGTERM)
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            try:
                status = _cli.main(words)
            except SystemExit as end:  # --help
                status = end.code or 0
            finally:
                signal.signal(signal.SIGTERM, terminated)
        done = subprocess.CompletedProcess(words, status, *capfd.readouterr())
        if check is not None:
            assert done.returncode == check, done.stderr
        return done

    run.folder = tmp_path
    return run


@pytest.fixture
def one_line():
    """Assert that a failed command said one line and return it."""

    def check(done, status):
        assert done.returncode == status, (done.returncode, done.stderr)
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        assert "Traceback" not in done.stderr
        return lines[0]

    return check
