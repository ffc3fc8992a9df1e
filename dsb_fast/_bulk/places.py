"""Where datasets are: a folder of this machine, or a URL of a store; files of either as files here."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from .._errors import DatasetError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(::[A-Za-z][A-Za-z0-9+.-]*)*://")
_HALF_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)")


def is_url(place: str) -> bool:
    """Whether ``place`` is in a store, and no path of this machine."""
    return _URL.match(place) is not None


def resolve(place: str) -> str:
    """``place`` as all of this package takes it: a ``file://`` URL is the path that it names. Raises DatasetError."""
    place = os.fspath(place)
    if not place:  # a shell's variable that is not set; the current folder is not meant
        raise DatasetError("'': names no folder; give one, such as . for the current one")
    if _HALF_URL.match(place):
        raise DatasetError(f"{place}: a URL has two slashes; write ./{place} for a folder of this machine")
    if not re.match("(file|local)://", place, re.IGNORECASE):
        return place
    parts = urlsplit(place)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise DatasetError(f"{place}: names no absolute path; write file:///folder, or the path itself")
    return unquote(parts.path)


@contextlib.contextmanager
def fetched(place: str, names: list[str], most: int | None = None) -> Iterator[str]:
    """A folder of this machine with the files ``names`` of ``place``, which it is itself if it is one.

    A file that is not there is not there in the folder either. Raises OSError, DatasetError for one of more than
    ``most`` bytes.
    """
    if not is_url(place):
        yield place
        return
    from .store import Store

    store = Store(place)
    with tempfile.TemporaryDirectory(prefix="dsb-fast-fetched-") as here:

        def fetch(name: str) -> None:
            if most is not None and (store.size(name) or 0) > most:
                raise DatasetError(f"{store.url_of(name)}: too large to be a manifest")
            os.makedirs(os.path.dirname(os.path.join(here, name)), exist_ok=True)
            store.fetch(name, os.path.join(here, name))

        store.each(fetch, names)
        yield here


def left_in(place: str, temporary: str, journal: str) -> list[str]:
    """What of unfinished work is in a folder or below a URL: names that begin with ``temporary``, and ``journal``."""
    if not is_url(place):
        return sorted(name for name in os.listdir(place) if name.startswith(temporary) or name == journal)
    from .store import Store

    return [journal] if Store(place).sizes(journal) else []


def open_dataset(
    place: str, recipe: dict, format_, overwrite: bool = False, extend: bool = False, system=None, until=None
):
    """The dataset of ``recipe`` at ``place``, locked where that can be, to be worked on. Raises DatasetError, OSError.

    A :class:`~dsb_fast._bulk.manifest.Dataset`, or, of a URL, a
    :class:`~dsb_fast._bulk.store_dataset.StoreDataset`; ``system`` and ``until`` are for folders
    alone.
    """
    if is_url(place):
        from .store_dataset import StoreDataset

        return StoreDataset(place, recipe, format_, overwrite, extend)
    from .manifest import Dataset

    return Dataset(place, recipe, format_, overwrite, extend, system, until)
