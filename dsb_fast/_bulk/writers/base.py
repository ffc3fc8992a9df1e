"""What a format is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ..plan import Shard

SIGNAL, IMAGE = "signal", "image"


@dataclass(frozen=True)
class FormatContext:
    """What a format may know of the samples: their shape and type, its own options, what made them.

    Signals have ``lead_names`` and ``sampling_rate_hz``; samples without leads are images. ``about`` is the recipe.
    """

    shape: tuple[int, ...]
    dtype: str
    lead_names: tuple[str, ...] = ()
    sampling_rate_hz: float | None = None
    options: dict = field(default_factory=dict)
    about: dict = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Of what kind the samples are."""
        return SIGNAL if self.lead_names else IMAGE

    @classmethod
    def of(cls, recipe: dict) -> FormatContext:
        """From a recipe or a manifest. Raises TypeError or ValueError where one has entries of another type."""
        rate = recipe.get("sampling_rate_hz")
        return cls(
            tuple(map(int, recipe["sample_shape"])),
            np.dtype(recipe.get("sample_dtype", "int16")).name,
            tuple(map(str, recipe.get("lead_names", ()))),
            None if rate is None else float(rate),
            dict(recipe.get("format_options") or {}),
            recipe,
        )


class Format(ABC):
    """Encodes batches (on worker threads) and says which files a shard is made of.

    With ``file_per_sample`` the shard is one file a sample, ``<id><suffix>``, or a file for every ``group`` samples,
    named after the first; otherwise one file, ``<shard><suffix>``, the preamble followed by the encoded batches in
    order. A format without ``suffix`` writes nothing.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    file_per_sample: ClassVar[bool]
    kinds: ClassVar[tuple[str, ...]] = (SIGNAL, IMAGE)  # of samples that it can hold
    options: ClassVar[dict] = {}  # names and default values of the format's own options
    group = 1  # samples a file, with file_per_sample; batches and shards begin at multiples of it
    # None if what is decoded is what was encoded; else by how much, on average, it may differ from what is decoded of a
    # file that another encoder, or a near backend, made of the same sample.
    tolerance: float | None = None

    def __init__(self, context: FormatContext):
        self.context = context

    @property
    def encoder(self) -> dict[str, str]:
        """What a file's bytes depend on beside samples and options; {} if on nothing."""
        return {}

    def file_names(self, shard: Shard) -> list[str]:
        """The final names of a shard's files, in order of sample number."""
        if not self.suffix:
            return []
        if self.file_per_sample:
            return [f"{shard.first + k}{self.suffix}" for k in range(0, shard.count, self.group)]
        return [shard.name + self.suffix]

    def preamble(self, shard: Shard) -> bytes:
        """What stands before the first sample of a shard's one file."""
        return b""

    @abstractmethod
    def encode(self, samples: np.ndarray, first: int = 0) -> list:
        """Samples [n, ...], numbers ``first`` and up, as bytes-like objects.

        One for every file with a file a sample, else any number, to be joined.
        """

    @abstractmethod
    def decode(self, files: list[bytes], shard: Shard) -> Iterator[np.ndarray]:
        """The samples of a shard's files, one by one. Raises ValueError if they are not what was written."""
