"""Objects below a URL of any fsspec file system: listed, read, uploaded and proved to be there."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from .._errors import DatasetError, MissingDependencyError
from .retry import Patience, persist

PART = 8 << 20  # bytes of a multipart upload's part; S3 takes none below 5 MiB but the last
_MOST_PARTS = 9_000  # S3 takes 10,000
_BLOCK = 1 << 20
_AT_ONCE = 8  # small objects


class _NotStored(OSError):
    """What has been uploaded is not there, or is something else."""


class Store:
    """What is below ``url``, by names relative to it. Every method raises OSError with the URL where it gives up."""

    def __init__(self, url: str, patience: Patience | None = None):
        self.url = url.rstrip("/")
        self._patience, self._stop = patience or Patience.of_environment(), threading.Event()
        self._fs, self._root = _file_system(self.url)

    def give_up(self) -> None:
        """From now on nothing is tried again, and what is under way gets a few seconds."""
        self._stop.set()

    def url_of(self, name: str) -> str:
        """The whole name of an object, for people."""
        return f"{self.url}/{name}"

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _persist(self, name: str, call: Callable[[], object], nbytes: int = 0, late_harms: bool = False):
        return persist(self.url_of(name) if name else self.url, call, self._patience, self._stop, nbytes, late_harms)

    def sizes(self, inside: str = "") -> dict[str, int]:
        """Bytes of every object there is, or of those in the folder ``inside``, by name."""

        def find() -> dict:
            self._fs.invalidate_cache()
            try:
                return self._fs.find(self._key(inside).rstrip("/"), detail=True)
            except FileNotFoundError:
                return {}

        begin = len(self._root) + 1
        found = ((path[begin:], info.get("size")) for path, info in self._persist(inside, find).items())
        return {name: size for name, size in found if name and not name.endswith("/")}

    def names(self) -> list[str]:
        """What is directly below the URL: objects and folders; some stores have folders with nothing in them."""

        def listed() -> list:
            self._fs.invalidate_cache()
            try:
                return self._fs.ls(self._root, detail=False)
            except FileNotFoundError:
                return []

        begin = len(self._root) + 1
        return sorted({path[begin:].split("/")[0] for path in self._persist("", listed)} - {""})

    def size(self, name: str) -> int | None:
        """Bytes of an object; None if there is none, or if the store does not say."""
        try:
            return self._persist(name, lambda: self._info(name)).get("size")
        except FileNotFoundError:
            return None

    def _info(self, name: str) -> dict:
        self._fs.invalidate_cache()
        info = self._fs.info(self._key(name))
        if info.get("type") == "directory":
            raise FileNotFoundError(self._key(name))
        return info

    def fetch(self, name: str, path: str) -> bool:
        """Copy an object to the new file ``path``; False if there is none."""

        def get() -> None:
            size = self._info(name).get("size")
            self._fs.get_file(self._key(name), path)
            if size is not None and os.path.getsize(path) != size:
                raise _NotStored(f"{os.path.getsize(path)} bytes came of {size}")

        try:
            size = self._persist(name, lambda: self._info(name)).get("size")
            self._persist(name, get, size or 0)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> bytes | None:
        """The bytes of a small object; None if there is none."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "object")
            if not self.fetch(name, path):
                return None
            with open(path, "rb") as file:
                return file.read()

    def put(self, name: str, data: bytes, late_harms: bool = False) -> None:
        """Make a small object, or replace it."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            self.put_file(name, file.name, late_harms)

    def put_file(self, name: str, path: str, late_harms: bool = False) -> None:
        """Upload the file ``path``, in parts where it is large, and make sure that the store has its bytes."""
        size = os.path.getsize(path)
        part = max(PART, -(-size // _MOST_PARTS))

        def put() -> None:
            self._fs.put_file(path, self._key(name), **({"chunksize": part} if self._is_s3 else {}))
            try:
                self._prove(name, path, size, part)
            except FileNotFoundError:
                raise _NotStored("uploaded, but not there") from None

        try:
            self._persist(name, put, 2 * size, late_harms)  # it may be read back
        except FileNotFoundError as error:
            words = " ".join(str(error.strerror or error).split()) or "not there"
            raise OSError(error.errno or 2, words, self.url_of(name)) from error

    @property
    def _is_s3(self) -> bool:
        protocol = self._fs.protocol
        return "s3" in ((protocol,) if isinstance(protocol, str) else protocol)

    def _prove(self, name: str, path: str, size: int, part: int) -> None:
        """Raises _NotStored unless the object is the file: by the store's own checksum, else by reading it back."""
        info = self._info(name)
        if info["size"] != size:
            raise _NotStored(f"{info['size']} bytes are there of {size} that were uploaded")
        if _checksum_proves(info, path, part):
            return
        with self._fs.open(self._key(name), "rb") as there, open(path, "rb") as here:
            if not _same(there, here):
                raise _NotStored("other bytes are there than were uploaded")

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; those that are not there are none the worse."""

        def remove_one(name: str) -> None:
            with contextlib.suppress(FileNotFoundError):
                self._persist(name, lambda: self._fs.rm_file(self._key(name)), late_harms=True)

        self.each(remove_one, names)

    def each(self, call: Callable[[str], object], names: Iterable[str]) -> list:
        """``call(name)`` for all ``names``, several at once; what they return, in order."""
        names = list(names)
        if len(names) < 2:
            return [call(name) for name in names]
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="dsb_fast_store")
        try:
            return [answer.result() for answer in [pool.submit(call, name) for name in names]]
        finally:
            pool.shutdown(cancel_futures=True)  # one has failed: those that wait would too


def _file_system(url: str) -> tuple:
    """The fsspec file system of ``url`` and the path in it. Raises MissingDependencyError, DatasetError."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingDependencyError(f"{url}: stores need fsspec; pip install 'dsb-fast[stores]'") from None
    try:
        fs, root = url_to_fs(url)
    except ImportError as error:
        raise MissingDependencyError(
            f"{url}: this store needs a package of its own, such as s3fs or gcsfs ({' '.join(str(error).split())})"
        ) from None
    except ValueError as error:
        raise DatasetError(f"{url}: {' '.join(str(error).split())}; use a URL that fsspec knows, or a folder") from None
    return fs, root.rstrip("/")


def _checksum_proves(info: dict, path: str, part: int) -> bool:
    """Whether a checksum that the store made of what it has got is that of the file.

    S3's ETag is the MD5 of the object, or of its parts' MD5s, unless it is encrypted by KMS; Google's md5Hash is there
    unless the object was composed.
    """
    etag = str(info.get("ETag") or "").strip('"').lower()
    if len(etag) == 32:
        return _md5(path).hexdigest() == etag
    if len(etag) > 33 and etag[32] == "-":
        return _parts_etag(path, part) == etag
    if isinstance(info.get("md5Hash"), str):
        return base64.b64encode(_md5(path).digest()).decode() == info["md5Hash"]
    return False


def _md5(path: str):
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest


def _parts_etag(path: str, part: int) -> str:
    """The ETag that S3 gives to a file uploaded in parts of ``part`` bytes."""
    digests = []
    with open(path, "rb") as file:
        while block := file.read(part):
            digests.append(hashlib.md5(block, usedforsecurity=False).digest())
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def _same(there: BinaryIO, here: BinaryIO) -> bool:
    """Whether two files have the same bytes."""
    while True:
        block = here.read(_BLOCK)
        found = b""
        while len(found) < len(block) and (more := there.read(len(block) - len(found))):
            found += more
        if found != block:
            return False
        if not block:
            return not there.read(1)
