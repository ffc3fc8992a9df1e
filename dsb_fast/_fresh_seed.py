"""The seed of the functions that stand in for packages which have none."""

from __future__ import annotations

import secrets
import sys

from .random import check_range


def given_or_drawn(seed, what: str) -> int:
    """``seed``, or one that is drawn and reported on standard error. Raises InputError for one out of range."""
    if seed is not None:
        return check_range(seed, 0, 0)[0]
    drawn = secrets.randbits(63)
    note(f"seed {drawn} (seed={drawn} makes the same {what} again)")
    return drawn


def note(text: str) -> None:
    """A line on standard error, where there is one: a process without a terminal may have none."""
    if sys.stderr is not None:
        sys.stderr.write(f"dsb_fast: {text}\n")
