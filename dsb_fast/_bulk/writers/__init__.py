"""The formats. One module each, found by name in one table; a format turns samples into bytes and back.

Installed packages add formats through entry points of group ``dsb_fast.formats`` (docs/formats.md).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from ..._errors import InputError
from .base import IMAGE, SIGNAL, Format, FormatContext

GROUP = "dsb_fast.formats"  # of entry points
_OWN = {
    "asc": "text:AscFormat",
    "csv": "text:CsvFormat",
    "png": "png:PngFormat",
    "jpg": "jpg:JpgFormat",
    "webp": "webp:WebpFormat",
    "npy": "npy:NpyFormat",
    "wfdb": "wfdb:WfdbFormat",
    "dummy": "dummy:DummyFormat",
    "parquet": "parquet:ParquetFormat",
    "hdf5": "hdf5:Hdf5Format",
    "zarr": "zarr:ZarrFormat",
    "edf": "edf:EdfFormat",
    "dicom": "dicom:DicomFormat",
    "webdataset": "webdataset:WebdatasetFormat",
    "stylegan-zip": "stylegan_zip:StyleganZipFormat",
}
_PLURALS = {SIGNAL: "ECGs", IMAGE: "images"}


@cache
def _own(name: str) -> type[Format]:
    module, _, attribute = _OWN[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


@cache
def _added() -> dict[str, type[Format]]:
    """The formats of other packages. One that can't be had is reported as a warning and left out."""
    import logging
    from importlib.metadata import entry_points

    added: dict[str, type[Format]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        try:
            found = point.load()
            problem = _problem(point.name, found, added)
        except (Exception, SystemExit) as error:  # whatever a foreign package does, the others are to work
            problem = str(error) or type(error).__name__
        if problem:
            text = " ".join(problem.split())[:300]
            logging.getLogger("dsb_fast").warning(
                "entry point %s = %s: %s; this format is left out", point.name, point.value, text
            )
        else:
            added[point.name] = found
    return added


def _problem(name: str, found, added: dict) -> str:
    """Why ``found`` can't be format ``name``; '' if it can."""
    if name in _OWN or name in added:
        return f"the name {name} is taken"
    if not (isinstance(found, type) and issubclass(found, Format)):
        return "no subclass of dsb_fast.formats.Format"
    if getattr(found, "name", None) != name:
        return f"its name is {getattr(found, 'name', None)!r}, not that of the entry point"
    if not isinstance(getattr(found, "suffixes", None), tuple) or not isinstance(
        getattr(found, "file_per_sample", None), bool
    ):
        return "suffixes (a tuple) or file_per_sample (true or false) is missing"
    missing = sorted(found.__abstractmethods__)
    return f"{' and '.join(missing)} is missing" if missing else ""


def names(kind: str | None = None) -> list[str]:
    """The formats that hold samples of a kind; None for all."""
    every = {**{name: _own(name) for name in _OWN}, **_added()}
    return [name for name, found in every.items() if kind is None or kind in found.kinds]


def find(name: str, kind: str | None = None) -> type[Format]:
    """The format called ``name``, for samples of ``kind`` ("signal", "image"). Raises InputError."""
    found = _own(name) if name in _OWN else _added().get(name)
    if found is None:
        raise InputError(f"format: '{name[:80]}' is not known; there are {', '.join(names(kind))}")
    if kind is not None and kind not in found.kinds:
        raise InputError(f"format: '{name}' can't hold {_PLURALS[kind]}; formats for them: {', '.join(names(kind))}")
    return found


__all__ = ["GROUP", "IMAGE", "SIGNAL", "Format", "FormatContext", "find", "names"]
