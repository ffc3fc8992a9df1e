"""Frames as GIF, animated WebP or MP4, one after the other, so that memory does not grow with their number.

Pillow encodes single frames; the containers around them are written here, because Pillow holds all frames of an
animation before it writes the first, and has no place for XMP in a GIF.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterable
from contextlib import contextmanager

import numpy as np

from . import _images
from ._errors import InputError
from ._files import replacing
from ._synthetic import SYNTHETIC, Mark

SUFFIXES = (".gif", ".webp", ".mp4")
_LARGEST_FPS = {".gif": 50.0, ".webp": 240.0, ".mp4": 240.0}  # viewers slow a GIF down that is faster than 50
_WEBP_QUALITY = 90


def check(path: str, fps: float) -> str:
    """The suffix of ``path``, if it names a format and ``fps`` suits it. Raises InputError, MissingDependencyError."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: '{suffix}' is no format of animations; there are {', '.join(SUFFIXES)}")
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0.1 <= fps <= _LARGEST_FPS[suffix]:
        raise InputError(f"fps: {fps}; it must be from 0.1 to {_LARGEST_FPS[suffix]:g} for {suffix}")
    if suffix == ".mp4":
        from ._video import find_ffmpeg

        find_ffmpeg()
    return suffix


def write(path: str, frames: Iterable[np.ndarray], fps: float, *, repeat: bool = True, mark: Mark | None) -> int:
    """Write ``frames``, uint8 [H, W, 3|4] all of one shape, as the animation that ``path``'s suffix names.

    ``repeat``: viewers begin again after the last frame (GIF, WebP). GIF: 256 colours a frame, times in 1/100 s. WebP:
    quality 90, times in 1/1000 s. MP4: H.264, which needs the extra ``video``. Transparent frames are put on white in
    GIF and MP4, as stylegan2-pytorch does. ``mark`` says in the file that it is synthetic: XMP in all three, a comment
    too in GIF and MP4; None only if the user asked for that.

    The file appears under its name when it is whole. Returns the number of frames. Raises InputError,
    MissingDependencyError, GenerationError, OSError.
    """
    suffix = check(path, fps)
    kind = _writer(suffix)
    count, shape, writer = 0, None, None
    with replacing(path) as temporary, _closing(lambda: writer):
        for frame in frames:
            if writer is None:
                shape = frame.shape
                _images.check_size("webp" if suffix == ".webp" else "png", shape)
                writer = kind(temporary, shape, fps, repeat, mark)
            if frame.shape != shape or frame.dtype != np.uint8:
                raise InputError(f"frame {count} is {frame.dtype} {list(frame.shape)}, needs uint8 {list(shape)}")
            writer.add(frame, count)
            count += 1
        if writer is None:
            raise InputError(f"{path}: no frames; an animation needs one at least")
        writer.finish()
    return count


def _writer(suffix: str):
    if suffix == ".mp4":
        from ._video import Mp4

        return Mp4
    return _Gif if suffix == ".gif" else _Webp


@contextmanager
def _closing(current):
    try:
        yield
    finally:
        if writer := current():
            writer.close()


def _duration(frame: int, fps: float, units: int) -> int:
    """How long a frame is shown, in 1/units of a second; roundings do not add up over frames."""
    return math.floor((frame + 1) * units / fps + 0.5) - math.floor(frame * units / fps + 0.5)


class _Gif:
    """GIF89a: every frame with a colour table of its own."""

    def __init__(self, path: str, shape, fps: float, repeat: bool, mark: Mark | None):
        self._fps, (height, width, _) = fps, shape
        if max(height, width) > 65535:
            raise InputError(f"{path}: {width} x {height} pixels are too many for a GIF")
        self._file = open(path, "wb")  # noqa: SIM115  closed by close()
        self._file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
        if repeat:
            self._file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")
        if mark:
            self._file.write(b"!\xfe" + _sub_blocks(f"{SYNTHETIC} ({mark.source})".encode()))
            # The packet stands as it is, not in blocks; a reader of blocks ends in the tail, wherever it got to.
            self._file.write(b"!\xff\x0bXMP DataXMP" + mark.xmp() + b"\x01" + bytes(range(255, -1, -1)) + b"\0")

    def add(self, frame: np.ndarray, number: int) -> None:
        bits, table, pixels = _gif_parts(_images.on_white(frame))
        self._file.write(b"!\xf9\x04\x04" + struct.pack("<H", _duration(number, self._fps, 100)) + b"\0\0")
        height, width, _ = frame.shape
        self._file.write(b"," + struct.pack("<HHHHB", 0, 0, width, height, 0x80 | bits) + table + pixels)

    def finish(self) -> None:
        self._file.write(b";")

    def close(self) -> None:
        self._file.close()


def _sub_blocks(data: bytes) -> bytes:
    parts = [data[k : k + 255] for k in range(0, len(data), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def _gif_parts(frame: np.ndarray) -> tuple[int, bytes, bytes]:
    """Size (as GIF codes it) and bytes of the colour table, and the compressed pixels, out of Pillow's own GIF."""
    picture = _images.picture_of(frame).quantize(256)
    data = _images.saved(picture, "GIF", interlace=False, optimize=False)
    bits = data[10] & 7
    table_end = at = 13 + 3 * (2 << bits)
    while data[at] != 0x2C:  # extensions before the image: skipped block by block
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    return bits, data[13:table_end], data[at + 10 : -1]


class _Webp:
    """Animated WebP: a chunk ANMF for every still image."""

    def __init__(self, path: str, shape, fps: float, repeat: bool, mark: Mark | None):
        self._fps, self._mark, (height, width, channels) = fps, mark, shape
        self._file = open(path, "wb")  # noqa: SIM115  closed by close()
        self._file.write(b"RIFF\0\0\0\0WEBP")
        flags = 0x02 | (0x10 if channels == 4 else 0) | (0x04 if mark else 0)
        self._chunk(b"VP8X", bytes([flags, 0, 0, 0]) + _three(width - 1) + _three(height - 1))
        self._chunk(b"ANIM", struct.pack("<IH", 0, 0 if repeat else 1))

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._file.write(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2))

    def add(self, frame: np.ndarray, number: int) -> None:
        height, width, _ = frame.shape
        duration = _duration(number, self._fps, 1000)
        place = _three(0) + _three(0) + _three(width - 1) + _three(height - 1) + _three(duration)
        image = _images.encode(frame, "webp", None, quality=_WEBP_QUALITY)
        self._chunk(b"ANMF", place + b"\x02" + _webp_image(image))  # 2: replaces what is below, transparent or not

    def finish(self) -> None:
        if self._mark:
            self._chunk(b"XMP ", self._mark.xmp())
        size = self._file.tell() - 8
        if size >= 1 << 32:
            raise InputError(f"{self._file.name}: more than 4 GiB, which WebP can't hold; fewer frames, or .mp4")
        self._file.seek(4)
        self._file.write(struct.pack("<I", size))

    def close(self) -> None:
        self._file.close()


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")


def _webp_image(data: bytes) -> bytes:
    """The chunks of a still WebP that hold the image itself."""
    kept, at = b"", 12
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + size + size % 2
        if data[at : at + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
            kept += data[at:end]
        at = end
    return kept
