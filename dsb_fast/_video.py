"""MP4 by way of ffmpeg, which the package imageio-ffmpeg brings."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import tempfile
from fractions import Fraction

import numpy as np

from . import _images
from ._errors import GenerationError, MissingDependencyError
from ._synthetic import SYNTHETIC, Mark

_XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # ISO 16684-3: XMP in files of the MPEG-4 kind


def find_ffmpeg() -> str:
    """Path of the program. Raises MissingDependencyError."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        raise MissingDependencyError(
            "MP4 needs the package imageio-ffmpeg: pip install 'dsb-fast[video]'; .gif and .webp need nothing"
        ) from None


class Mp4:
    """H.264 at constant quality, 4:2:0, BT.709, playable everywhere. One thread, so that bytes depend on no machine."""

    def __init__(self, path: str, shape, fps: float, repeat: bool, mark: Mark | None):
        self._path, self._mark = path, mark
        height, width, _ = shape
        self._even = ((0, height % 2), (0, width % 2), (0, 0))  # 4:2:0 needs even sizes
        size = f"{width + width % 2}x{height + height % 2}"
        rate = str(Fraction(fps).limit_denominator(1001))
        words = (
            ["-metadata", f"comment={SYNTHETIC} ({mark.source})", "-metadata", f"title={mark.title}"] if mark else []
        )
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        command = [
            find_ffmpeg(), "-nostdin", "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size,
            "-r", rate, "-i", "pipe:0", "-an", "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p",
            "-c:v", "libx264", "-crf", "17", "-threads", "1", "-colorspace", "bt709", "-color_primaries", "bt709",
            "-color_trc", "bt709", "-color_range", "tv", "-fflags", "+bitexact", "-flags:v", "+bitexact",
            "-movflags", "+faststart", *words, "-f", "mp4", f"file:{path}",
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._errors)

    def add(self, frame: np.ndarray, number: int) -> None:
        flat = np.pad(_images.on_white(frame), self._even, mode="edge")
        try:
            self._process.stdin.write(flat.tobytes())
        except BrokenPipeError:
            self.finish()

    def finish(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._process.wait():
            self._errors.seek(0)
            lines = self._errors.read(4096).decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
            raise GenerationError(f"ffmpeg failed: {lines[-1].replace(self._path, 'the file')}")
        if self._mark:
            packet = self._mark.xmp()
            with open(self._path, "ab") as file:
                file.write(struct.pack(">I", 24 + len(packet)) + b"uuid" + _XMP_BOX + packet)

    def close(self) -> None:
        """End ffmpeg if it still runs, which it does only after an error."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._errors.close()
