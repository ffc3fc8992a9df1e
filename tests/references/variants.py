"""A program once for every kernel variant that this CPU has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from dsb_fast import _kernels


def each(program: str, cwd) -> Iterator[tuple[str, list[str]]]:
    """Of every variant its name and what ``program`` printed, in words, of which the first was the variant that ran."""
    for name, available in _kernels.variants():
        if not available:
            print(f"not run, this CPU lacks it: {name}")
            continue
        environment = {**os.environ, "DSB_FORCE_VARIANT": name}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (name, done.stderr)
        ran, *words = done.stdout.split()
        assert ran == name, "a variant other than the one asked for ran"
        yield name, words
