"""A checkpoint in the layout of the published GI-tract model, random but with every path alive."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from harness import Missing

SCRIPT = Path(__file__).resolve().parent.parent / "tests" / "references" / "gitract_checkpoint.py"
OPTIONS: list[str] = []  # of the script; none make the published size
TRUNCATION = 0.75
_CACHE = "DSB_CACHE_DIR"


class Workspace:
    """A folder that holds the checkpoint; until it is released it is also where dsb_fast keeps its cache."""

    def __init__(self, name: str):
        if find_spec("torch") is None:
            raise Missing("the checkpoint's maker: torch is not installed; pip install '.[cpu,bench]'")
        if not SCRIPT.is_file():
            raise Missing(f"the checkpoint's maker: there is no {SCRIPT}; run from a whole repository")
        self._base = tempfile.TemporaryDirectory(prefix=name)
        self.folder = self._base.name
        self._before = os.environ.get(_CACHE)
        os.environ[_CACHE] = str(Path(self.folder, "cache"))
        try:
            words = [sys.executable, str(SCRIPT), self.folder, *OPTIONS]
            self.checkpoint = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        except subprocess.CalledProcessError as error:
            self.release()
            last = (error.stderr.strip().splitlines() or ["no message"])[-1]
            raise OSError(f"{SCRIPT.name} failed: {last}") from None

    def release(self) -> None:
        """Remove it, and give the cache's place back."""
        if self._before is None:
            os.environ.pop(_CACHE, None)
        else:
            os.environ[_CACHE] = self._before
        self._base.cleanup()
