"""JSON of unknown origin: values that can be written again, compared and made numbers of, or ValueError."""

from __future__ import annotations

import json
from typing import Any

_MOST_DIGITS = 40  # of a whole number; twice those of an unsigned 64-bit one


def parse(data: bytes | str, **hooks) -> Any:
    """The value that ``data`` is; ``hooks`` go to :func:`json.loads`.

    Raises ValueError for what is no JSON or nested too deeply to be read, and, though Python's reader takes them, for
    numbers that are not finite or of more digits than any number here, and for text that is no Unicode.
    """
    try:
        value = json.loads(data, parse_int=_whole, parse_float=_finite, parse_constant=_finite, **hooks)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if isinstance(data, str) or b"\\u" in data or b"\xed" in data or b"\0" in data[:4]:
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair: UnicodeEncodeError is a ValueError
    return value


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError("has a number of too many digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError("has a number that is not finite")
    return value
