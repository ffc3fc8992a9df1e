"""What a format is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice
from math import inf, prod
from typing import BinaryIO, ClassVar

import numpy as np

from ..._errors import MissingDependencyError
from ..plan import DEFAULT_SHARD_SIZE, SHARD_RANGE, Plan, Shard, runs
from .labels import label_text, labels_of_text

SIGNAL, IMAGE = "signal", "image"
_LONGEST, _LARGEST = 2_500_000, 1 << 32  # one size of a sample, and all values of it: more than any model makes


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

    @property
    def array_name(self) -> str:
        """What the samples are called where a format has names: column, dataset, file in a tar."""
        return {SIGNAL: "signal_uv", IMAGE: "image"}[self.kind]

    @property
    def label_names(self) -> tuple[str, ...]:
        """The measurements that are written beside each sample, float64, NaN where not measurable."""
        return tuple(map(str, self.about.get("annotate") or ()))

    @classmethod
    def of(cls, recipe: dict) -> FormatContext:
        """From a recipe or a manifest. Raises TypeError or ValueError where one has entries of another type or size."""
        rate, shape = recipe.get("sampling_rate_hz"), tuple(map(int, recipe["sample_shape"]))
        dtype = np.dtype(recipe.get("sample_dtype", "int16"))
        if dtype.kind not in "iuf" or not all(0 < size <= _LONGEST for size in shape) or prod(shape) > _LARGEST:
            raise ValueError(f"samples of {dtype} {shape}")
        if rate is not None and not 0 < float(rate) < inf:
            raise ValueError(f"a sampling rate of {rate} Hz")
        return cls(
            shape,
            dtype.name,
            tuple(map(str, recipe.get("lead_names", ()))),
            rate,
            dict(recipe.get("format_options") or {}),
            # no file is to say that it was made in a part
            {k: v for k, v in recipe.items() if k != SHARD_RANGE} if SHARD_RANGE in recipe else recipe,
        )


class Format(ABC):
    """Encodes batches (on worker threads) and says which files a shard is made of.

    With ``file_per_sample`` every sample has files of its own, ``<id><suffix>`` for each of ``suffixes``, or every
    ``group`` samples have, named after the first; otherwise a shard is one file, ``<shard><suffix>``, that ``join``
    makes of the encoded batches. A format without suffixes writes nothing. How samples are cut into batches must not
    change a byte.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    file_per_sample: ClassVar[bool]
    kinds: ClassVar[tuple[str, ...]] = (SIGNAL, IMAGE)  # of samples that it can hold
    options: ClassVar[dict] = {}  # names and default values of the format's own options
    default_shard_size: ClassVar[int] = DEFAULT_SHARD_SIZE
    requires: ClassVar[tuple[str, ...]] = ()  # packages that it imports, which ``extra`` brings
    extra: ClassVar[str] = "formats"
    sparse: ClassVar[bool] = False  # whether it can leave samples out: its methods go by ``Shard.numbers``
    largest_number: ClassVar[int] = 2**64 - 1  # of a sample that it can hold
    holds_labels: ClassVar[bool] = False  # whether its files have room for them; else a table lies beside
    is_npy: ClassVar[bool] = False  # the file is what the samples' digest is of
    group = 1  # samples a file, with file_per_sample; batches and shards begin at multiples of it
    # None if what is decoded is what was encoded; else by how much, on average, it may differ from what is decoded of a
    # file that another encoder, or a near backend, made of the same sample.
    tolerance: float | None = None

    def __init__(self, context: FormatContext):
        self.context = context
        missing = [package for package in self.requires if find_spec(package) is None]
        if missing:
            raise MissingDependencyError(
                f"format {self.name} needs {' and '.join(missing)}; pip install 'dsb-fast[{self.extra}]'"
            )

    @property
    def encoder(self) -> dict[str, str]:
        """What a file's bytes depend on beside samples and options; {} if on nothing."""
        return {}

    def file_names(self, shard: Shard) -> list[str]:
        """The final names of a shard's files, in order of sample number."""
        if self.file_per_sample:
            return [f"{first}{suffix}" for first in shard.numbers[:: self.group] for suffix in self.suffixes]
        return [shard.name + suffix for suffix in self.suffixes]

    def label_files(self, shard: Shard) -> list[str]:
        """The names of what is written of a shard's labels, after its samples."""
        return [] if self.holds_labels or not self.context.label_names else [f"labels/{shard.name}.csv"]

    def label_bytes(self, shard: Shard) -> Iterator[bytes]:
        """The bytes of each of :meth:`label_files`, of a shard that has ``labels``."""
        yield label_text(shard)

    def decode_labels(self, files: Iterable[BinaryIO], shard: Shard) -> dict[str, np.ndarray]:
        """The labels of a shard, float64 [count] by name, from its label files or, if it has none, its files.

        {} where a format cannot tell. Raises ValueError if they are not what was written.
        """
        return {} if self.holds_labels else labels_of_text(next(iter(files)), shard, self.context.label_names)

    def shard_files(self, shard: Shard) -> list[str]:
        """The names of all that is written of a shard."""
        return [*self.file_names(shard), *self.label_files(shard)]

    def index_files(self, plan: Plan) -> Iterator[tuple[str, Iterable[bytes]]]:
        """Files of the whole dataset, name and bytes, that follow from the plan alone: written last."""
        return iter(())

    @abstractmethod
    def encode(self, samples: np.ndarray, first: int = 0) -> list:
        """Samples [n, ...], numbers ``first`` and up, in the order of their numbers.

        With files a sample bytes-like objects, one for every name of ``file_names``; else whatever ``join`` takes.
        """

    def encode_kept(self, samples: np.ndarray, numbers: Sequence[int], labels: Mapping[str, np.ndarray]) -> list:
        """As :meth:`encode`, of samples with any rising ``numbers``; ``labels`` of them, which ``join`` gets too."""
        made = []
        for position, first, count in runs(numbers):
            made += self.encode(samples[position : position + count], first)
        return made

    def join(self, shard: Shard, parts: Iterable[list]) -> Iterator:
        """The bytes of a shard's one file, piece by piece, from what ``encode`` returned for batch after batch."""
        for part in parts:
            yield from part

    @abstractmethod
    def decode(self, files: Iterable[BinaryIO], shard: Shard) -> Iterator[np.ndarray]:
        """The samples of a shard's files, one by one. Raises ValueError if they are not what was written."""

    def decode_one(self, files: Iterable[BinaryIO], shard: Shard, position: int) -> np.ndarray:
        """The sample at ``position`` of those that :meth:`decode` gives; a format may know a shorter way to it."""
        return next(islice(self.decode(files, shard), position, None))
