"""What a format is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ..plan import Shard


@dataclass(frozen=True)
class FormatContext:
    """What a format may know of the samples: their shape, type, leads and rate, and its own options."""

    shape: tuple[int, ...]
    dtype: str
    lead_names: tuple[str, ...]
    sampling_rate_hz: float
    options: dict = field(default_factory=dict)


class Format(ABC):
    """Encodes batches (on worker threads) and says which files a shard is made of.

    With ``file_per_sample`` the shard is one file a sample, ``<id><suffix>``; otherwise one file, ``<shard><suffix>``,
    the preamble followed by the encoded batches in order. A format without ``suffix`` writes nothing.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    file_per_sample: ClassVar[bool]
    options: ClassVar[dict] = {}  # names and default values of the format's own options

    def __init__(self, context: FormatContext):
        self.context = context

    def file_names(self, shard: Shard) -> list[str]:
        """The final names of a shard's files, in order of sample number."""
        if not self.suffix:
            return []
        if self.file_per_sample:
            return [f"{shard.first + k}{self.suffix}" for k in range(shard.count)]
        return [shard.name + self.suffix]

    def preamble(self, shard: Shard) -> bytes:
        """What stands before the first sample of a shard's one file."""
        return b""

    @abstractmethod
    def encode(self, samples: np.ndarray) -> list:
        """Samples [n, ...] as bytes-like objects: n of them with a file a sample, else any number, to be joined."""

    @abstractmethod
    def decode(self, files: list[bytes], shard: Shard) -> Iterator[np.ndarray]:
        """The samples of a shard's files, one by one. Raises ValueError if they are not what was written."""
