"""Receiving one file over HTTP, in as many attempts as it takes.

What has come lies in ``FILE.part``; ``FILE.part.json`` says which version of which file it is part of.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import NamedTuple

from . import _files, _json_text
from ._version import __version__

TIMEOUT_S = 30.0  # without a byte
WAITS_S = (1.0, 2.0, 4.0)  # before further attempts; they begin anew whenever an attempt gets further than all before
SIZE_LIMIT = 4 << 30  # where nobody knows the size
_BLOCK = 1 << 18
Show = Callable[[int, int], None]


class Refused(Exception):
    """The file can't be had; another attempt would not do better."""


class _Again(Exception):
    """This attempt failed and another one may not."""


class _Part(NamedTuple):
    """What ``FILE.part`` is part of: the URL, the validator that names the version, and the whole size."""

    url: str
    validator: str
    size: int


def receive(url: str, part: str, size: int | None, show: Show | None) -> bool:
    """Attempts until the part is whole; ``size`` is what it must have. Whether bytes of an earlier attempt are in it.

    ``show`` takes bytes done and to do. Raises Refused, and OSError for the disk.
    """
    waits, furthest = list(WAITS_S), _state(url, part)[1]
    while True:
        try:
            return _attempt(url, part, size, show)
        except _Again as error:
            have = _state(url, part)[1]
            if have > furthest:
                waits, furthest = list(WAITS_S), have
            if not waits:
                kept = f"; {have} bytes are kept and another try goes on there" if have else ""
                raise Refused(f"{error}{kept}") from None
            time.sleep(waits.pop(0))


def _attempt(url: str, part: str, size: int | None, show: Show | None) -> bool:
    """One request for what the part lacks. Whether the part had bytes that were kept. Raises _Again, Refused."""
    known, have = _state(url, part)
    if known is not None and have == known.size:
        return True  # ended between the last byte and the rename
    headers = {"User-Agent": f"dsb_fast/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": known.validator}
    with _open(url, headers, part) as answer:
        if have and answer.status == 206:
            _check_range(answer, known, have, part)
        elif answer.status == 200:
            have, known = 0, _check_whole(answer, url, size)
            forget(part)
            _files.write_atomically(part + ".json", json.dumps(known._asdict()).encode())
        else:
            raise Refused(f"the server answers with status {answer.status}")
        _append(answer, part, have, known.size, show)
    return have > 0


def _state(url: str, part: str) -> tuple[_Part | None, int]:
    """What the part is part of and how many bytes it has; without a usable note it has none."""
    try:
        with open(part + ".json", "rb") as file:
            known = _Part(**_json_text.parse(file.read(1 << 16)))
        usable = known.url == url and known.validator and 0 < _have(part) <= known.size
    except (OSError, ValueError, TypeError):
        usable = False
    return (known, _have(part)) if usable else (None, 0)


def _have(part: str) -> int:
    try:
        return os.stat(part).st_size
    except FileNotFoundError:
        return 0


def forget(part: str) -> None:
    """Remove the part and what is known of it."""
    for path in (part, part + ".json"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows only where we would have gone ourselves."""

    def redirect_request(self, request, file, code, message, headers, url):
        _check_url(url)
        return super().redirect_request(request, file, code, message, headers, url)


def _open(url: str, headers: dict[str, str], part: str):
    """The server's answer. Raises _Again, Refused."""
    _check_url(url)
    opener = urllib.request.build_opener(_Redirects)
    try:
        return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the part is longer than the file is now
            forget(part)
        kind = _Again if error.code in (408, 416, 429) or error.code >= 500 else Refused
        raise kind(f"the server answers {error.code} {' '.join(str(error.reason).split())[:100]}".strip()) from None
    except (OSError, http.client.HTTPException) as error:
        raise _of_opening(error) from None


def _check_url(url: str) -> None:
    if not re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", url):
        raise Refused(f"{url[:100]} is not https")


def _of_opening(error: Exception) -> Exception:
    """A connection that broke is worth another attempt; a network or a certificate that is not there is not."""
    reason = getattr(error, "reason", error)
    reason = reason if isinstance(reason, Exception) else error
    if isinstance(reason, (ConnectionResetError, BrokenPipeError, http.client.HTTPException)):
        return _Again(f"the connection broke: {_text(reason)}")
    is_certificate = type(reason).__module__ == "ssl"
    return Refused(_text(reason) if is_certificate else f"no network: {_text(reason)}")


def _text(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__


def _check_whole(answer, url: str, size: int | None) -> _Part:
    """What a whole answer says of itself. Raises Refused unless it can be the file."""
    headers = answer.headers
    if headers.get_content_type() == "text/html":
        raise Refused("the server answers with a web page")
    if headers.get("Content-Encoding", "identity") != "identity":
        raise Refused(f"the server encodes it ({headers['Content-Encoding'][:40]})")
    length = headers.get("Content-Length", "")
    if not re.fullmatch(r"\d{1,18}", length) or int(length) == 0:
        raise Refused("the server does not say how long the file is")
    if size not in (None, int(length)):
        raise Refused(f"the server's file has {length} bytes, the published one {size}")
    if size is None and int(length) > SIZE_LIMIT:
        raise Refused(f"the server's file has {length} bytes, more than {SIZE_LIMIT}")
    etag = headers.get("ETag", "")
    strong = etag if etag and not etag.startswith("W/") else ""
    return _Part(url, strong or headers.get("Last-Modified", ""), int(length))


def _check_range(answer, known: _Part, have: int, part: str) -> None:
    """Raises _Again, with nothing kept, unless the answer goes on where the part ends."""
    said = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", "").strip())
    etag = answer.headers.get("ETag", known.validator)
    other = known.validator.startswith('"') and etag != known.validator
    if said is None or (int(said[1]), int(said[2])) != (have, known.size) or other:
        forget(part)
        raise _Again("the server sent another part than was asked for")


def _append(answer, part: str, have: int, size: int, show: Show | None) -> None:
    """Add the answer's bytes to the part until it has ``size``. Raises _Again if they end before."""
    with open(part, "ab") as file:
        if show:
            show(have, size)
        while have < size:
            try:
                block = answer.read1(min(_BLOCK, size - have))
            except (OSError, http.client.HTTPException) as error:
                raise _Again(f"the connection broke: {_text(error)}") from None
            if not block:
                raise _Again(f"the connection ended after {have} of {size} bytes")
            file.write(block)
            have += len(block)
            if show:
                show(have, size)
