"""A network as its exporter sees it, for backends that build it themselves instead of opening a graph."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

_VERSION = "1"  # of what dsb_fast._networks computes: another one is another result


class Description(NamedTuple):
    """``settings`` are the arguments of dsb_fast._networks' class of that ``family``; ``sha256`` names the result.

    ``ends`` is what its output becomes, None if it stays as it is: "microvolt", or grey "levels"; times a number, plus
    another.
    """

    family: str
    settings: dict
    ends: tuple[str, float, float] | None
    sha256: str


def digest(*words) -> str:
    """What a description's result depends on, as one SHA-256."""
    return hashlib.sha256(json.dumps([_VERSION, *words], sort_keys=True).encode()).hexdigest()
