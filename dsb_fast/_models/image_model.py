"""What the image models of every family have in common."""

from __future__ import annotations

from numbers import Real
from typing import ClassVar

import numpy as np

from .. import _images, _kernels
from .._errors import GenerationError, InputError, ModelError
from .card import NEAR, Near
from .registry import REGISTERED

LATENTS, NOISE, SECOND_LATENTS = 0, 1, 2  # streams
# Above, a batch costs memory and is no faster. Of 128 x 128 pixels the portable network made 52 images a second one by
# one, 50 by eights; the fused one, whose weights are then read once for all, 61 and 69.
_PIXELS_A_CALL = {"portable": 128 * 128, "fused": 8 * 128 * 128}


class ImageModel:
    """Latents in, grey levels out: what the bulk engine and :class:`dsb_fast.Generator` know of StyleGAN2.

    A grey level is ``image * scale + offset``, ``levels`` of the family, held to 0 to 255 and cut down. ``input_kinds``
    says what inputs hold, by the first word of their names.
    """

    default_format = "png"
    dtype = np.uint8
    refused: ClassVar[dict[str, str]] = {}  # precisions, and why
    levels: ClassVar[tuple[float, float]]
    input_kinds: ClassVar[dict[str, dict]]

    def __init__(self, source):
        self.source = source
        self.name = source.name
        self.card = source.card

    def near(self, precision: str) -> Near:
        """How far from float32 a precision may be: what the card says, or of another file what the contract does."""
        card = REGISTERED.get(self.name)
        return (card.near if card else NEAR).get(precision) or NEAR[precision]

    def network_of(self, given: dict) -> str:
        """The option ``network``: that which was loaded. Raises InputError for another."""
        if (network := given.get("network", self.card.network)) != self.card.network:
            raise InputError(f"network: {repr(network)[:40]}; {self.card.network} was loaded, load(network=) chooses")
        return self.card.network

    def truncation_of(self, given: dict) -> float:
        """The option ``truncation``, checked."""
        truncation = given.get("truncation", self.card.truncation)
        if isinstance(truncation, bool) or not isinstance(truncation, Real):
            raise InputError(f"truncation: {truncation!r}; it is a number, 1 for none, 0 for the mean style")
        if not abs(truncation) < 1e6:  # the styles are float32
            raise InputError(f"truncation: {truncation}; it must be a number of ordinary size")
        return float(truncation)

    def sample_shape(self, options) -> tuple[int, ...]:
        """Shape of one sample, uint8."""
        return (self.card.image_size, self.card.image_size, self.card.channels)

    def batch_size(self, backend) -> int:
        """The backend's own, or less where images are large."""
        if backend.fixed_batch:
            return backend.batch_size
        pixels = _PIXELS_A_CALL[backend.flavour]
        return max(1, min(backend.batch_size, pixels // self.card.image_size**2))

    def outputs(self, arrays: dict[str, np.ndarray], options) -> np.ndarray:
        """Grey levels uint8 [N, height, width, channels] of the network's ``image``."""
        image = np.ascontiguousarray(arrays["image"], np.float32)
        if not np.isfinite(image).all():
            raise GenerationError(
                f"{self.name}: the network's output has values that are not numbers; the weights are unusable"
            )
        return _kernels.grey_levels(image, *self.levels)

    def checked_inputs(self, given: dict, shapes: dict[str, list]) -> dict[str, np.ndarray]:
        """The raw network's inputs as arrays of ``shapes``. Raises InputError that names the input."""
        unknown = sorted(set(given) - set(shapes))
        missing = [name for name in shapes if name not in given and name != "truncation_psi"]
        if unknown or missing:
            wrong = f"not {', '.join(unknown)}" if unknown else f"{', '.join(missing)} is missing"
            raise InputError(f"run: {self.name} takes {', '.join(shapes)}; {wrong}")
        given = {"truncation_psi": 1.0, **given} if "truncation_psi" in shapes else given
        return of_one_batch({name: array(name, given[name], shape) for name, shape in shapes.items()})

    def check_part(self, part: str) -> None:
        """Raises ModelError if the network that was loaded has no such part."""
        if part not in self.source.parts:
            alone = self.source.parts[0]
            raise ModelError(f"{part}: {self.source.path} is the {alone} network alone; load the whole one")

    def context(self, options) -> dict:
        """What a dataset's recipe says of images beside what it says of every sample."""
        return {**_images.recipe_entries(self.card.channels), "card": self.source.said}

    @property
    def mean_style(self) -> np.ndarray:
        """What styles are truncated toward, float32 [D]."""
        return self.source.mean_style

    def common_info(self, shapes: dict[str, list]) -> dict:
        """What the cards of all families say; ``shapes`` are those of the network's inputs."""
        card, category = self.card, self.name.partition(".")
        return {
            "model": self.name,
            "category": category[0] if category[1] else "none",
            "title": card.title,
            "synthetic": True,
            "inputs": {
                name: {"shape": shape, "dtype": "float32", **self.input_kinds.get(name.partition("_")[0], {})}
                for name, shape in shapes.items()
            },
            "output": {"shape": ["N", *self.sample_shape(None)], "dtype": "uint8", "unit": "grey level"},
            "image_size": card.image_size,
            "channels": card.channels,
            "latent_dim": card.latent_dim,
        }

    def words(self) -> dict:
        """The end of every card: who made the network and where its weights are."""
        said = ("licence", "citation", "source")
        return {
            **{name: getattr(self.card, name) for name in said},
            "checkpoint": self.source.path,
            "weights_sha256": self.source.weights_sha256,
        }


def is_flag(name: str, value) -> bool:
    """``value``, if it is true or false. Raises InputError that names the option."""
    if not isinstance(value, bool):
        raise InputError(f"{name}: {repr(value)[:40]}; it is True or False")
    return value


def array(name: str, value, shape: list) -> np.ndarray:
    """``value`` as float32 of ``shape``, in which "N" is any number. Raises InputError that names the input."""
    found = np.asarray(value)
    fits = found.ndim == len(shape) and all(n in ("N", m) for n, m in zip(shape, found.shape, strict=True))
    if not fits:
        needed = ", ".join(map(str, shape))
        raise InputError(f"{name} is {list(found.shape)}, needs {f'[{needed}]' if shape else 'a single number'}")
    if found.dtype.kind not in "fiu":
        raise InputError(f"{name} is {found.dtype}, needs float32")
    return np.ascontiguousarray(found, np.float32).reshape(found.shape)


def of_one_batch(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``arrays``, if those with a batch have the same, of one sample or more. Raises InputError."""
    (first, count), *others = [(name, len(values)) for name, values in arrays.items() if values.ndim]
    if not count:
        raise InputError(f"{first} is {list(arrays[first].shape)}; it needs one sample at least")
    for name, other in others:
        if other != count:
            raise InputError(f"{name} is for {other} samples, {first} for {count}; they must be as many")
    return arrays
