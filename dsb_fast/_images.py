"""Grey levels as PNG, JPEG and WebP and back, with the mark that they are synthetic; and several on one sheet."""

from __future__ import annotations

import io
import warnings
import zlib

import numpy as np

from ._errors import InputError, MissingDependencyError
from ._synthetic import Mark

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_CHANNELS = {1: ["grey"], 3: ["red", "green", "blue"], 4: ["red", "green", "blue", "alpha"]}
JPEG_QUALITY, PNG_LEVEL = 95, 1
_LARGEST_SIDE = {"png": 65535, "jpg": 65500, "webp": 16383}
_LARGEST_AREA = 89_478_485  # what Pillow reads without taking it for a decompression bomb


def recipe_entries(channels: int) -> dict:
    """What a dataset's recipe says of images beside what it says of every sample."""
    names = _CHANNELS.get(channels) or [f"channel_{k}" for k in range(channels)]
    return {"unit": "grey level", "channels": list(names)}


def check_size(format: str, shape: tuple[int, ...]) -> None:
    """Raises InputError unless images [H, W, C] can be written as ``format``."""
    if len(shape) != 3 or shape[2] not in MODES or min(shape) < 1:
        raise InputError(
            f"format {format}: samples are {list(shape)}, an image is [height, width, 1, 3 or 4]; npy holds any"
        )
    if format == "jpg" and shape[2] == 4:
        raise InputError("format jpg: the images are transparent and JPEG is not; png and webp are")
    if max(shape[:2]) > _LARGEST_SIDE[format] or shape[0] * shape[1] > _LARGEST_AREA:
        raise InputError(f"format {format}: {shape[1]} x {shape[0]} pixels are too many for one file")


def encode(
    image: np.ndarray,
    format: str,
    mark: Mark | None,
    *,
    first: int | None = None,
    count: int = 1,
    quality: int | None = None,
    level: int = PNG_LEVEL,
    subsampling: str = "4:4:4",
) -> bytes:
    """The file of an image, uint8 [H, W, 1|3|4] (grey; or red, green, blue, and alpha that is not premultiplied).

    ``format`` "png", "jpg" or "webp". ``mark`` says in the file that it is synthetic; None only if the user asked for
    that. ``first`` and ``count``: the numbers of the samples shown, for the mark. ``quality`` 1 to 100: JPEG (95 if
    None) and WebP (lossless if None). ``level`` 0 to 9: PNG's compression; 1 codes runs only, which on images of a
    generator is as small as 6 and the fastest. ``subsampling`` of JPEG's colours: "4:4:4" none, "4:2:2" or "4:2:0".

    The same bytes for the same version of Pillow and its libraries. Raises InputError for what ``format`` can't hold.
    """
    check_size(format, image.shape)
    return _ENCODERS[format](picture_of(image), mark, (first, count), quality, level, subsampling)


def picture_of(image: np.ndarray):
    """A Pillow image of uint8 [H, W, 1|3|4]. Raises InputError for another type."""
    from PIL import Image

    if image.dtype != np.uint8:
        raise InputError(f"image is {image.dtype}, needs uint8")
    height, width, channels = image.shape
    return Image.frombytes(MODES[channels], (width, height), np.ascontiguousarray(image).tobytes())


def _png(picture, mark, numbers, _quality, level, _subsampling) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    if mark:
        for keyword, text in mark.texts(*numbers).items():
            about.add_text(keyword, text)
        about.add_itxt("XML:com.adobe.xmp", mark.xmp(*numbers))
    strategy = zlib.Z_RLE if level == 1 else zlib.Z_DEFAULT_STRATEGY
    return saved(picture, "PNG", pnginfo=about, compress_level=level, compress_type=strategy)


def _jpg(picture, mark, numbers, quality, _level, subsampling) -> bytes:
    packet = {"xmp": mark.xmp(*numbers)} if mark else {}
    quality = JPEG_QUALITY if quality is None else quality
    colours = {} if picture.mode == "L" else {"subsampling": subsampling}
    return saved(picture, "JPEG", quality=quality, **colours, **packet)


def _webp(picture, mark, numbers, quality, _level, _subsampling) -> bytes:
    packet = {"xmp": mark.xmp(*numbers)} if mark else {}
    picture = picture.convert("RGB") if picture.mode == "L" else picture  # WebP has no grey
    if quality is None:  # exact keeps the colours below full transparency; more effort than 1 costs more than it saves
        return saved(picture, "WEBP", lossless=True, exact=True, quality=20, method=1, **packet)
    return saved(picture, "WEBP", quality=quality, exact=True, method=2, **packet)


_ENCODERS = {"png": _png, "jpg": _jpg, "webp": _webp}
_NAMES = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}


def saved(picture, name: str, **options) -> bytes:
    """The bytes of the file that Pillow makes of ``picture``; ``name`` and ``options`` as Pillow has them."""
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def decode(data: bytes, format: str, shape: tuple[int, ...]) -> np.ndarray:
    """The image [H, W, C] of a file's bytes, of ``shape``. Raises ValueError if it is anything else."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is refused for its size below
            opened = Image.open(io.BytesIO(data), formats=[_NAMES[format]])
        with opened as picture:
            height, width, channels = shape
            mode = "RGB" if (format, channels) == ("webp", 1) else MODES[channels]
            if (picture.size, picture.mode) != ((width, height), mode):  # before pixels take memory
                size = " x ".join(map(str, picture.size))
                raise ValueError(f"is {size} pixels {picture.mode}, not {width} x {height} {mode}")
            return np.asarray(picture).reshape(height, width, -1)[:, :, :channels]
    except UnidentifiedImageError:  # names an object in memory
        raise ValueError(f"is no {format} image") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error) or type(error).__name__) from None


def encoder_versions(format: str) -> dict[str, str]:
    """What the bytes of a file depend on beside its pixels: Pillow and the library below it, with their versions.

    Raises MissingDependencyError if Pillow can't write ``format``.
    """
    import PIL
    from PIL import features

    if not features.check({"png": "zlib"}.get(format, format)):
        raise MissingDependencyError(f"format {format}: this Pillow is built without it; pip install pillow brings it")
    versions = {"pillow": PIL.__version__}
    if format == "png":
        faster = features.version_feature("zlib_ng") if "zlib_ng" in features.features else None
        versions["zlib-ng" if faster else "zlib"] = str(faster or features.version_codec("zlib"))
    elif format == "jpg":
        turbo = features.version_feature("libjpeg_turbo")
        versions["libjpeg-turbo" if turbo else "libjpeg"] = str(turbo or features.version_codec("jpg"))
    else:
        versions["libwebp"] = str(features.version_module("webp"))
    return versions


def on_white(frame: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] of [H, W, 1|3|4]: grey three times, transparent values mixed with white, rounded."""
    if frame.shape[2] == 3:
        return frame
    if frame.shape[2] == 1:
        return np.repeat(frame, 3, axis=2)
    alpha = frame[:, :, 3:].astype(np.uint16)
    mixed = frame[:, :, :3] * alpha + 255 * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def make_grid(images: np.ndarray, nrow: int = 8, padding: int = 2) -> np.ndarray:
    """Images [N, H, W, C] on one sheet, row by row, ``nrow`` a row, ``padding`` black pixels around each.

    Layout of torchvision 0.2 and later (``utils.make_grid``, ``save_image``): with fewer than ``nrow`` images the sheet
    is as wide as they are, empty places are black (and transparent), and one image alone gets no padding.
    """
    count, height, width, channels = images.shape
    if count == 1:
        return np.ascontiguousarray(images[0])
    columns = min(nrow, count)
    rows = -(-count // columns)
    step_y, step_x = height + padding, width + padding
    sheet = np.zeros((rows * step_y + padding, columns * step_x + padding, channels), images.dtype)
    for k, (y, x) in enumerate(_corners(count, columns, step_y, step_x, padding)):
        sheet[y : y + height, x : x + width] = images[k]
    return sheet


def _corners(count, columns, step_y, step_x, padding):
    return ((k // columns * step_y + padding, k % columns * step_x + padding) for k in range(count))


def split_grid(sheet: np.ndarray, count: int, shape: tuple[int, ...], nrow: int, padding: int = 2) -> np.ndarray:
    """The first ``count`` images, each of ``shape``, of a sheet of more than one: what :func:`make_grid` undoes."""
    height, width, _ = shape
    corners = _corners(count, nrow, height + padding, width + padding, padding)
    return np.stack([sheet[y : y + height, x : x + width] for y, x in corners])
