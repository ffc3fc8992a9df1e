"""A network as its exporter sees it, for backends that build it themselves instead of opening a graph."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import NamedTuple

_VERSION = "1"  # of what dsb_fast._networks computes: another one is another result


class Description(NamedTuple):
    """``settings`` are the arguments of dsb_fast._networks' class of that ``family``; ``sha256`` names the result."""

    family: str
    settings: dict
    sha256: str


@dataclass(frozen=True)
class Drawn:
    """Inputs that a backend may draw where it runs: ``shapes`` by name, one after the other in a sample's numbers."""

    kind: str  # "uniform" in [low, high), or "normal"
    stream: int
    shapes: dict[str, tuple[int, ...]]
    low: float = 0.0
    high: float = 1.0


def digest(*words) -> str:
    """What a description's result depends on, as one SHA-256."""
    return hashlib.sha256(json.dumps([_VERSION, *words], sort_keys=True).encode()).hexdigest()
