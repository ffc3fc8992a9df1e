"""Encoding, the synthetic mark and sheets, against Pillow's readers and an XML parser."""

from __future__ import annotations

import io
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import dsb_fast
from dsb_fast import _images
from dsb_fast._synthetic import Mark

pytestmark = pytest.mark.variant_independent

MARK = Mark.of(
    {"model": "digestive.gitract", "title": 'GI <tract> & "more" é', "licence": "MIT", "weights_sha256": "ab" * 32,
     "seed": 7}
)  # fmt: skip
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
DC, XMP = "{http://purl.org/dc/elements/1.1/}", "{http://ns.adobe.com/xap/1.0/}"


def picture(height=12, width=9, channels=3, seed=0):
    """Smooth colours."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    a = random.uniform(-3, 3, (channels, 3))
    waves = [127 + 120 * np.sin(p[0] + p[1] * x + p[2] * y) for p in a]
    return np.stack(waves, axis=-1).astype(np.uint8)


def xmp_of(data: bytes) -> bytes:
    """The XMP packet that Pillow finds in a file; b"" if there is none."""
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        found = opened.info.get("xmp", opened.info.get("XML:com.adobe.xmp", b""))
    return found.encode() if isinstance(found, str) else found


def read_mark(packet: bytes) -> dict[str, str]:
    """The packet's properties by their names, parsed as RDF/XML."""
    body = packet.decode("utf-8").partition("?>")[2].rpartition("<?xpacket")[0]
    root = ElementTree.fromstring(body)
    description = root.find(f"{RDF}RDF/{RDF}Description")
    return {child.tag: "".join(child.itertext()) for child in description}


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("format", ["png", "webp"])
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_lossless_formats_give_back_every_value(format, channels, height, width, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    data = _images.encode(image, format, MARK, first=seed)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.format == format.upper() and (np.asarray(opened) == image).all()
    assert (_images.decode(data, format, image.shape) == image).all()


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_png_levels_hold_the_same_image(level):
    image = picture(64, 48)
    assert (_images.decode(_images.encode(image, "png", None, level=level), "png", image.shape) == image).all()


def test_jpeg_keeps_colours_at_full_resolution_and_quality_counts():
    image = picture(64, 64)
    data = {q: _images.encode(image, "jpg", None, quality=q) for q in (30, 95)}
    with Image.open(io.BytesIO(data[95])) as opened:
        assert opened.format == "JPEG" and opened.layer[0][1:3] == opened.layer[1][1:3] == (1, 1)
    error = {q: np.abs(_images.decode(d, "jpg", image.shape).astype(int) - image).mean() for q, d in data.items()}
    assert error[95] < 1.5 < error[30] and len(data[30]) < len(data[95])
    lossy = _images.encode(image, "webp", None, quality=50)
    assert len(lossy) < len(_images.encode(image, "webp", None)) and xmp_of(lossy) == b""


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
def test_every_format_says_that_it_is_synthetic(format):
    packet = xmp_of(_images.encode(picture(), format, MARK, first=3))
    found = read_mark(packet)
    assert found[IPTC + "DigitalSourceType"] == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )
    assert found[DC + "description"].startswith("Synthetic data: ")
    assert found[DC + "title"] == 'GI <tract> & "more" é' and "MIT" in found[DC + "rights"]
    assert found[DC + "source"] == "model digestive.gitract, weights abababababababab, seed 7, sample 3"
    assert found[XMP + "CreatorTool"] == "dsb-fast"
    assert packet.startswith(b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>')


def test_png_says_it_in_text_too():
    with Image.open(io.BytesIO(_images.encode(picture(), "png", MARK, first=4, count=9))) as opened:
        opened.load()
        assert opened.text["Description"].startswith("Synthetic data: ") and opened.text["Software"] == "dsb-fast"
        assert opened.text["Title"] == MARK.title and opened.text["Source"].endswith("seed 7, samples 4-12")


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
def test_without_a_mark_there_is_no_metadata_at_all(format):
    data = _images.encode(picture(), format, None)
    assert xmp_of(data) == b"" and b"ynthetic" not in data and b"dsb" not in data


@given(st.text(max_size=50), st.text(max_size=50))
@settings(max_examples=60, deadline=None)
def test_any_card_gives_a_packet_that_parses(title, licence):
    mark = Mark.of({"model": "a.b", "title": title, "licence": licence, "seed": 2**64 - 1})
    found = read_mark(mark.xmp(2**64 - 1))
    assert found[DC + "source"].endswith("sample 18446744073709551615")
    assert found[DC + "title"] == "".join(c if c.isprintable() else " " for c in title)
    _images.encode(picture(1, 1), "png", mark, first=0)


def test_a_card_of_any_length_fits_into_jpeg():
    mark = Mark.of({"model": "m", "title": "&" * 10**6, "licence": "<" * 10**6})
    assert read_mark(xmp_of(_images.encode(picture(), "jpg", mark)))[DC + "title"] == "&" * 1000


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
def test_the_same_image_makes_the_same_bytes(format):
    files = {_images.encode(picture(), format, MARK, first=1) for _ in range(3)}
    assert len(files) == 1
    assert _images.encode(picture(), format, MARK, first=2) not in files


@pytest.mark.parametrize(
    ("shape", "format", "word"),
    [((4, 4, 4), "jpg", "transparent"), ((4, 4), "png", "height, width"), ((4, 4, 2), "png", "1, 3 or 4"),
     ((0, 4, 3), "webp", "height, width"), ((16384, 1, 3), "webp", "too many"), ((65501, 1, 3), "jpg", "too many"),
     ((10000, 10000, 3), "png", "too many")],
)  # fmt: skip
def test_what_a_format_can_not_hold_is_refused(shape, format, word):
    with pytest.raises(dsb_fast.InputError, match=word):
        _images.check_size(format, shape)


def test_other_types_are_refused():
    with pytest.raises(dsb_fast.InputError, match="uint8"):
        _images.encode(picture().astype(np.float32), "png", None)


def test_files_that_are_not_what_was_written_are_refused():
    image = picture(8, 8)
    data = _images.encode(image, "png", None)
    corrupt = bytearray(data)
    corrupt[data.index(b"IDAT") + 8] ^= 0xFF
    for broken in (b"", b"GIF89a", data[:40], data[:-30], bytes(corrupt)):
        with pytest.raises(ValueError, match=r"."):
            _images.decode(broken, "png", image.shape)
    for shape in ((8, 9, 3), (8, 8, 4)):
        with pytest.raises(ValueError, match="8 x 8"):
            _images.decode(data, "png", shape)
    with pytest.raises(ValueError, match=r"."):
        _images.decode(data, "jpg", image.shape)


def test_a_bomb_is_refused_before_it_takes_memory():
    """A PNG of 60000 x 60000 pixels in a few bytes."""
    header = (60000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    body = zlib.compress(b"")
    chunks = b"".join(
        len(d).to_bytes(4, "big") + n + d + zlib.crc32(n + d).to_bytes(4, "big")
        for n, d in ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    )
    with pytest.raises(ValueError, match=r"."):
        _images.decode(b"\x89PNG\r\n\x1a\n" + chunks, "png", (8, 8, 3))


def torchvision_grid(images, nrow, padding):
    """utils.make_grid in words of its documentation: cells of size + padding, row by row, from (padding, padding)."""
    count, height, width, channels = images.shape
    if count == 1:
        return images[0]
    columns = min(nrow, count)
    rows = int(np.ceil(count / columns))
    sheet = np.zeros((rows * (height + padding) + padding, columns * (width + padding) + padding, channels), np.uint8)
    k = 0
    for row in range(rows):
        for column in range(columns):
            if k < count:
                top, left = padding + row * (height + padding), padding + column * (width + padding)
                sheet[top : top + height, left : left + width] = images[k]
            k += 1
    return sheet


@given(st.integers(1, 11), st.integers(1, 9), st.integers(0, 3), st.sampled_from([3, 4]))
@settings(max_examples=40, deadline=None)
def test_sheets_are_laid_out_as_torchvision_does(count, nrow, padding, channels):
    images = np.stack([picture(5, 7, channels, seed=k) for k in range(count)])
    sheet = _images.make_grid(images, nrow, padding)
    assert (sheet == torchvision_grid(images, nrow, padding)).all()
    if count > 1:
        columns = min(nrow, count)
        assert (_images.split_grid(sheet, count, images.shape[1:], columns, padding) == images).all()


def test_sheet_of_the_seed_package_has_its_size():
    """save_image of 64 images of 128 x 128 with nrow=8, as the GI-tract package calls it: 1042 x 1042."""
    images = np.zeros((64, 128, 128, 3), np.uint8)
    assert _images.make_grid(images, 8).shape == (1042, 1042, 3)
