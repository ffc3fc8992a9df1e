"""GIF, animated WebP and MP4, read back with Pillow and ffmpeg; marks, durations, and what is left after an error."""

from __future__ import annotations

import io
import os
import struct
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageSequence
from test_images import DC, IPTC, MARK, picture, read_mark

import dsb_fast
from dsb_fast import _animation, _images

pytestmark = pytest.mark.variant_independent


def movie(count=6, height=24, width=32, channels=3):
    """Frames that change slowly."""
    start, end = picture(height, width, channels, 1).astype(float), picture(height, width, channels, 2)
    return [(start + (end - start) * k / count).astype(np.uint8) for k in range(count)]


def shown(path):
    """What Pillow shows: frames, durations in ms, loop."""
    with Image.open(path) as opened:
        loop, frames, durations = opened.info.get("loop"), [], []
        for frame in ImageSequence.Iterator(opened):
            frames.append(np.asarray(frame.convert("RGBA" if opened.mode == "RGBA" else "RGB")))
            durations.append(frame.info["duration"])
        return frames, durations, loop


def decoded_by_ffmpeg(path, height, width):
    """Frames of a video, as ffmpeg decodes them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24",
               "-vf", "scale=in_color_matrix=bt709", "-"]  # fmt: skip
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def gif_blocks(data: bytes):
    """Extensions of a GIF as (label, data), by the grammar of GIF89a: what a reader that knows none of them sees."""
    flags, at = data[10], 13
    at += 3 * (2 << (flags & 7)) if flags & 0x80 else 0
    while data[at : at + 1] != b";":
        introducer, label = data[at], data[at + 1]
        if introducer == 0x2C:
            at += 10 + (3 * (2 << (data[at + 9] & 7)) if data[at + 9] & 0x80 else 0) + 1
        else:
            at += 2
        start = at
        while data[at]:
            at += 1 + data[at]
        at += 1
        if introducer == 0x21:
            yield label, data[start:at]
    assert at == len(data) - 1


def test_gif(tmp_path):
    frames = movie(20)
    assert _animation.write(str(tmp_path / "a.gif"), iter(frames), 30, mark=MARK) == 20
    found, durations, loop = shown(tmp_path / "a.gif")
    assert loop == 0 and set(durations) == {30, 40} and sum(durations) == round(2000 / 3, -1)
    assert len(found) == 20
    for a, b in zip(found, frames, strict=True):
        assert np.abs(a.astype(int) - b).mean() < 3
    _animation.write(str(tmp_path / "b.gif"), frames, 30, repeat=False, mark=None)
    assert shown(tmp_path / "b.gif")[2] is None


def test_gif_is_as_good_as_pillows_own(tmp_path):
    frames = movie(4, 64, 64)
    _animation.write(str(tmp_path / "a.gif"), frames, 10, mark=None)
    for ours, frame in zip(shown(tmp_path / "a.gif")[0], frames, strict=True):
        own = Image.fromarray(frame).quantize(256).convert("RGB")
        assert (ours == np.asarray(own)).all()


def test_gif_of_few_colours_and_single_pixels(tmp_path):
    flat = [np.full((1, 1, 3), k * 90, np.uint8) for k in range(3)]
    two = np.zeros((5, 7, 3), np.uint8)
    two[2:] = 255
    for name, frames in (("a", flat), ("b", [two] * 3)):
        _animation.write(str(tmp_path / f"{name}.gif"), frames, 10, mark=MARK)
        data = (tmp_path / f"{name}.gif").read_bytes()
        assert [label for label, _ in gif_blocks(data)].count(0xF9) == 3  # no frame is left out or joined
        with Image.open(tmp_path / f"{name}.gif") as opened:
            assert (np.asarray(opened.convert("RGB")) == frames[0]).all()


@pytest.mark.parametrize("channels", [3, 4])
def test_webp(tmp_path, channels):
    frames = movie(7, 24, 33, channels)
    assert _animation.write(str(tmp_path / "a.webp"), iter(frames), 24, mark=MARK) == 7
    found, durations, loop = shown(tmp_path / "a.webp")
    assert loop == 0 and set(durations) <= {41, 42} and sum(durations) == round(7000 / 24)
    for a, b in zip(found, frames, strict=True):
        assert a.shape == b.shape and np.abs(a.astype(int) - b).mean() < 3
    _animation.write(str(tmp_path / "b.webp"), frames, 24, repeat=False, mark=None)
    assert shown(tmp_path / "b.webp")[2] == 1
    data = (tmp_path / "a.webp").read_bytes()
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8


@pytest.mark.parametrize(("height", "width"), [(32, 48), (31, 45), (2, 2)])
def test_mp4(tmp_path, height, width):
    frames = movie(9, height, width)
    assert _animation.write(str(tmp_path / "a.mp4"), iter(frames), 12.5, mark=MARK) == 9
    found = decoded_by_ffmpeg(tmp_path / "a.mp4", height + height % 2, width + width % 2)
    assert len(found) == 9
    if height > 2:
        for a, b in zip(found, frames, strict=True):
            assert np.abs(a[:height, :width].astype(int) - b).mean() < 4
    for name in ("b.mp4", "c.mp4"):
        _animation.write(str(tmp_path / name), frames, 12.5, mark=MARK)
        assert (tmp_path / name).read_bytes() == (tmp_path / "a.mp4").read_bytes()


def boxes(data: bytes) -> dict[bytes, bytes]:
    """The boxes of an MP4 file, top level."""
    found, at = {}, 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        found[data[at + 4 : at + 8]] = data[at + 8 : at + size]
        at += size
    assert at == len(data)
    return found


def packet_of(path) -> bytes:
    """The XMP packet of an animation."""
    data = path.read_bytes()
    if path.suffix == ".mp4":
        return boxes(data).get(b"uuid", b"")[16:]
    if path.suffix == ".webp":
        with Image.open(io.BytesIO(data)) as opened:
            return opened.info.get("xmp", b"")
    _, found, rest = data.partition(b"!\xff\x0bXMP DataXMP")
    return rest[: rest.index(b"\x01\xff\xfe\xfd")] if found else b""


@pytest.mark.parametrize("suffix", _animation.SUFFIXES)
def test_animations_say_that_they_are_synthetic(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    _animation.write(str(path), movie(3), 10, mark=MARK)
    found = read_mark(packet_of(path))
    assert found[IPTC + "DigitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert found[DC + "source"] == "model digestive.gitract, weights abababababababab, seed 7"
    if suffix == ".gif":
        with Image.open(path) as opened:
            assert opened.info["comment"].startswith(b"Synthetic data: ")
        assert [label for label, _ in gif_blocks(path.read_bytes())][:3] == [0xFF, 0xFE, 0xFF]
    if suffix == ".mp4":
        about = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)], capture_output=True, check=False)
        assert b"Synthetic data: " in about.stderr
    _animation.write(str(path), movie(3), 10, mark=None)
    assert packet_of(path) == b"" and b"ynthetic" not in path.read_bytes()


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_transparent_frames_are_put_on_white(tmp_path, suffix):
    frame = np.zeros((16, 16, 4), np.uint8)
    frame[:8] = (255, 0, 0, 255)
    _animation.write(str(tmp_path / f"a{suffix}"), [frame], 10, mark=MARK)
    found = shown(tmp_path / "a.gif")[0] if suffix == ".gif" else decoded_by_ffmpeg(tmp_path / "a.mp4", 16, 16)
    expected = np.asarray(Image.alpha_composite(Image.new("RGBA", (16, 16), (255, 255, 255)), Image.fromarray(frame)))
    assert np.abs(found[0].astype(int) - expected[:, :, :3]).mean() <= (2 if suffix == ".mp4" else 0)


def test_on_white_is_pillows_composite():
    frame = np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8)
    white = Image.new("RGBA", (40, 40), (255, 255, 255))
    expected = np.asarray(Image.alpha_composite(white, Image.fromarray(frame)))[:, :, :3]
    assert np.abs(_images.on_white(frame).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("suffix", _animation.SUFFIXES)
def test_frames_are_taken_one_by_one(tmp_path, suffix):
    """A frame is written before the next but one is asked for: memory does not grow with their number."""
    alive = []

    def frames():
        for frame in movie(30):
            alive.append(frame.copy())
            yield alive[-1]
            alive[-1][:] = 0  # would spoil what was kept instead of written

    _animation.write(str(tmp_path / f"a{suffix}"), frames(), 10, mark=None)
    _animation.write(str(tmp_path / f"b{suffix}"), movie(30), 10, mark=None)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", _animation.SUFFIXES)
@pytest.mark.parametrize("after", [0, 3])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, suffix, after):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"mine")

    def frames():
        yield from movie(after)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _animation.write(str(path), frames(), 10, mark=MARK)
    with pytest.raises(dsb_fast.InputError, match="no frames"):
        _animation.write(str(path), [], 10, mark=MARK)
    with pytest.raises(dsb_fast.InputError, match="frame 1 is"):
        _animation.write(str(path), [movie(1)[0], movie(1, 4, 4)[0]], 10, mark=MARK)
    assert os.listdir(tmp_path) == [path.name] and path.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("name", "fps", "word"),
    [("a.avi", 10, r"\.gif, \.webp, \.mp4"), ("a", 10, "no format"), ("a.gif", 51, "fps"), ("a.gif", 0, "fps"),
     ("a.mp4", float("nan"), "fps"), ("a.webp", 1000, "fps"), ("a.gif", True, "fps")],
)  # fmt: skip
def test_wrong_names_and_rates(tmp_path, name, fps, word):
    with pytest.raises(dsb_fast.InputError, match=word):
        _animation.write(str(tmp_path / name), movie(), fps, mark=None)
    assert not os.listdir(tmp_path)


def test_mp4_without_its_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(dsb_fast.MissingDependencyError, match=r"dsb-fast\[video\]"):
        _animation.write(str(tmp_path / "a.mp4"), movie(), 10, mark=None)


def test_a_failing_ffmpeg_is_reported_in_one_line(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'No space left on device' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", lambda: str(program))
    with pytest.raises(dsb_fast.GenerationError, match="No space left on device") as error:
        _animation.write(str(tmp_path / "a.mp4"), movie(50, 128, 128), 10, mark=MARK)
    assert "\n" not in str(error.value) and os.listdir(tmp_path) == ["ffmpeg"]
