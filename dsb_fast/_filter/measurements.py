"""The measurements there are for samples of a kind, and making them of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial

import numpy as np

from .._errors import InputError
from .ecg import ECG, Ecg
from .image import IMAGE, Image


class Measured(Mapping):
    """The measurements of one sample by name, floats, NaN where not measurable; each is made when it is asked for."""

    def __init__(self, subject: Ecg | Image, table: dict):
        self._subject, self._table, self._made = subject, table, {}

    def __getitem__(self, name: str) -> float:
        if name not in self._made:
            self._made[name] = float(self._table[name][0](self._subject))
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


class Measurer:
    """What can be measured of the samples that a recipe describes: of signals those of ECGs, else those of images."""

    def __init__(self, about: dict):
        leads = tuple(about.get("lead_names") or ())
        self._table = ECG if leads else IMAGE
        self._subject = partial(Ecg, lead_names=leads, rate_hz=about["sampling_rate_hz"]) if leads else Image

    @property
    def names(self) -> list[str]:
        """Of all measurements."""
        return list(self._table)

    def version(self, name: str) -> int:
        """Of how it is measured."""
        return self._table[name][1]

    def check(self, names: Iterable[str], what: str) -> None:
        """Raises InputError, begun with ``what``, if one of ``names`` is no measurement of these samples."""
        for name in names:
            if name not in self._table:
                near = get_close_matches(name, self._table, 1, 0.5)
                hint = f"{near[0]} is; " if near else ""
                raise InputError(f"{what}: '{name[:40]}' is no measurement; {hint}there are {', '.join(self._table)}")

    def each(self, samples: np.ndarray) -> Iterator[Measured]:
        """The measurements of ``samples`` [n, ...], one after the other."""
        return (Measured(self._subject(sample), self._table) for sample in samples)
