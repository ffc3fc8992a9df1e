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
    sys.stderr.write(f"dsb_fast: seed {drawn} (seed={drawn} makes the same {what} again)\n")
    return drawn
