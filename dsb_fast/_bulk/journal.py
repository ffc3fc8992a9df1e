"""The journal of a run: which shards of a recipe are whole, a line of JSON each, after a line that names the recipe."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from .. import _json_text
from .manifest_file import is_record, recipe_digest


def journal_bytes(recipe: dict, records: Iterable[dict]) -> bytes:
    """A whole journal."""
    lines = [{"recipe": recipe_digest(recipe)}, *records]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def is_journal_of(data: bytes, recipe: dict) -> bool:
    """Whether ``data`` is a journal, perhaps a torn one, of ``recipe``."""
    first = data.partition(b"\n")
    try:
        return bool(first[1]) and _json_text.parse(first[0]) == {"recipe": recipe_digest(recipe)}
    except ValueError:
        return False


def journal_records(data: bytes, recipe: dict) -> Iterator[dict]:
    """The records of a journal of ``recipe``; a torn last line ends it, of another recipe it has none."""
    if not is_journal_of(data, recipe):
        return
    for line in data.split(b"\n")[1:-1]:
        try:
            entry = _json_text.parse(line)
        except ValueError:
            return
        if is_record(entry):
            yield entry
