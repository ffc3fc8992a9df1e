"""Samples whose random numbers and whole numbers are made where the network runs: only those cross the bus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .._errors import GenerationError

NOT_NUMBERS = "not_numbers"  # output of such a graph, int32 [1]: how many values of the network's were none
NO_HALF = "precision fp16: this network has it on a GPU, with the compiled CUDA operators; fp32 works"


class WholeNumbers(NamedTuple):
    """The key of a source's graph, of flavour "cuda", that ends in whole numbers where that of ``key`` ends before."""

    key: object


class Draw(NamedTuple):
    """Inputs that are drawn one after the other from one stream of every sample (docs/identity.md).

    ``shapes`` of one sample by name; ``kind`` "normal", or "uniform" from ``low`` to ``high``.
    """

    kind: str
    stream: int
    shapes: dict[str, tuple[int, ...]]
    low: float = 0.0
    high: float = 1.0


def whole_numbers(
    name: str, backend, draws: Sequence[Draw], seed: int, start: int, count: int, still: Mapping[str, np.ndarray]
) -> np.ndarray:
    """What the graph of a :class:`WholeNumbers` makes of ``count`` samples: int16 or uint8.

    ``name`` is the model's, ``still`` what the graph takes beside ``draws``. Raises GenerationError if the network's
    output has values that are not numbers.
    """
    outputs = backend.sample(tuple(draws), seed, start, count, dict(still))
    if outputs.pop(NOT_NUMBERS).any():
        raise GenerationError(f"{name}: the network's output has values that are not numbers; the weights are unusable")
    [made] = outputs.values()
    return made
