"""StyleGAN2 image models: what their networks' inputs and outputs mean.

stylegan2_card.py has the facts of a network, stylegan2_source.py its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np

from .. import _images, _kernels, random
from .._errors import GenerationError, InputError, ModelError
from .card import NEAR, Near
from .registry import REGISTERED
from .stylegan2_source import PARTS

LATENTS, NOISE, SECOND_LATENTS = 0, 1, 2  # streams
# Above, a batch costs memory and is no faster. Of 128 x 128 pixels the portable network made 52 images a second one by
# one, 50 by eights; the fused one, whose weights are then read once for all, 61 and 69.
_PIXELS_A_CALL = {"portable": 128 * 128, "fused": 8 * 128 * 128}
_PIXELS_ON_CUDA = 64 * 128 * 128
_REFUSED = {
    "label": "a stylegan2-pytorch network is not conditional, it has no labels",
    "truncation_cutoff": "a stylegan2-pytorch network truncates the styles of all blocks alike",
    "leads": "an image has none",
}


@dataclass(frozen=True)
class StyleGan2Options:
    """What shapes a sample beside model, weights, seed and index."""

    network: str
    truncation: float
    mixing: bool = False
    noise: str = "random"


class StyleGan2Model:
    """Latents in, grey levels out: what the bulk engine and :class:`dsb_fast.Generator` know of StyleGAN2."""

    default_format = "png"
    dtype = np.uint8
    refused: ClassVar[dict[str, str]] = {}  # precisions, and why

    def __init__(self, source):
        self.source = source
        self.name = source.name
        self.card = source.card
        self.key = source.parts[0]  # of the source's graph that is opened first

    def near(self, precision: str) -> Near:
        """How far from float32 a precision may be: what the card says, or of another file what the contract does."""
        card = REGISTERED.get(self.name)
        return (card.near if card else NEAR).get(precision) or NEAR[precision]

    def options(self, **given) -> StyleGan2Options:
        """Checked options. Raises InputError for one that this model does not have."""
        given = {name: value for name, value in given.items() if value is not None}
        for name, why in _REFUSED.items():
            if name in given:
                raise InputError(f"{name}: {given[name]!r}; {why}")
        unknown = sorted(set(given) - {"truncation", "mixing", "noise", "network"})
        if unknown:
            raise InputError(f"{self.name}: no option is called {', '.join(unknown)}; there are truncation and mixing")
        if self.key != "whole":
            raise InputError(f"{self.source.path}: it is the {self.key} network alone; samples need the whole network")
        mixing = given.get("mixing", False)
        if not isinstance(mixing, bool):
            raise InputError(f"mixing: {mixing!r}; it is True or False")
        if (noise := given.get("noise", "random")) != "random":
            raise InputError(f"noise: {noise!r}; a stylegan2-pytorch network has no stored maps and needs random ones")
        if (network := given.get("network", self.card.network)) != self.card.network:
            raise InputError(f"network: {repr(network)[:40]}; {self.card.network} was loaded, load(network=) chooses")
        return StyleGan2Options(self.card.network, self._truncation(given), mixing)

    def _truncation(self, given: dict) -> float:
        truncation = given.get("truncation", self.card.truncation)
        if isinstance(truncation, bool) or not isinstance(truncation, Real):
            raise InputError(f"truncation: {truncation!r}; it is a number, 1 for none, 0 for the mean style")
        if not abs(truncation) < 1e6:  # the styles are float32
            raise InputError(f"truncation: {truncation}; it must be a number of ordinary size")
        return float(truncation)

    def sample_shape(self, options: StyleGan2Options) -> tuple[int, ...]:
        """Shape of one sample, uint8."""
        return (self.card.image_size, self.card.image_size, self.card.channels)

    def batch_size(self, backend) -> int:
        """The backend's own, or less where images are large."""
        pixels = _PIXELS_ON_CUDA if backend.device == "cuda" else _PIXELS_A_CALL[backend.flavour]
        return max(1, min(backend.batch_size, pixels // self.card.image_size**2))

    def samples(self, backend_of, seed: int, start: int, count: int, options: StyleGan2Options) -> np.ndarray:
        """uint8 [count, height, width, channels]."""
        inputs = self.inputs(seed, start, count, options)
        if not options.mixing:
            return self.outputs(backend_of("whole").run(inputs), options)
        second = random.normal(seed, start, count, self.card.latent_dim, SECOND_LATENTS, threads=1)
        styles = [self._truncated(backend_of("mapping").run({"z": z})["w"], options) for z in (inputs["z"], second)]
        w = mix(*styles, self.card.blocks)
        return self.outputs(backend_of("synthesis").run({"w": w, "noise": inputs["noise"]}), options)

    def _truncated(self, w: np.ndarray, options: StyleGan2Options) -> np.ndarray:
        return self.mean_style + np.float32(options.truncation) * (w - self.mean_style)

    def inputs(self, seed: int, start: int, count: int, options: StyleGan2Options) -> dict[str, np.ndarray]:
        """The whole network's inputs for ``count`` samples from ``start`` on."""
        plane = (self.card.image_size, self.card.image_size)
        return {
            "z": random.normal(seed, start, count, self.card.latent_dim, LATENTS, threads=1),
            "noise": random.uniform(seed, start, count, plane, NOISE, threads=1),
            "truncation_psi": np.array(options.truncation, np.float32),
        }

    def outputs(self, arrays: dict[str, np.ndarray], options: StyleGan2Options) -> np.ndarray:
        """Grey levels uint8 [N, height, width, channels] of the network's ``image``: clamp(image, 0, 1) * 255 + 0.5."""
        image = np.ascontiguousarray(arrays["image"], np.float32)
        if not np.isfinite(image).all():
            raise GenerationError(
                f"{self.name}: the network's output has values that are not numbers; the weights are unusable"
            )
        return _kernels.grey_levels(image, 255.0, 0.5)

    def key_of(self, inputs: dict[str, np.ndarray]) -> str:
        """The key of the graph that :meth:`check_run_inputs` checks for."""
        return self.key

    def check_run_inputs(self, given: dict) -> dict[str, np.ndarray]:
        """The raw network's inputs, checked. Raises InputError that names the input."""
        shapes = self._input_shapes(self.key)
        unknown = sorted(set(given) - set(shapes))
        missing = [name for name in shapes if name not in given and name != "truncation_psi"]
        if unknown or missing:
            wrong = f"not {', '.join(unknown)}" if unknown else f"{', '.join(missing)} is missing"
            raise InputError(f"run: {self.name} takes {', '.join(shapes)}; {wrong}")
        given = {"truncation_psi": 1.0, **given} if "truncation_psi" in shapes else given
        arrays = {name: _array(name, given[name], shape) for name, shape in shapes.items()}
        return _of_one_batch(arrays)

    def _input_shapes(self, part: str) -> dict[str, list]:
        card = self.card
        z, noise = ["N", card.latent_dim], ["N", card.image_size, card.image_size]
        return {
            "whole": {"z": z, "noise": noise, "truncation_psi": []},
            "mapping": {"z": z},
            "synthesis": {"w": ["N", card.blocks, card.latent_dim], "noise": noise},
        }[part]

    def mapping(self, backend_of, z, label=None) -> np.ndarray:
        """Styles float32 [N, blocks, D], the same for every block, not truncated."""
        if label is not None:
            raise InputError(f"label: {repr(label)[:40]}; {_REFUSED['label']}")
        z = _array("z", z, self._input_shapes("mapping")["z"])
        w = self._part(backend_of, "mapping").run({"z": z})["w"]
        return np.repeat(w[:, None], self.card.blocks, axis=1)

    def synthesis(self, backend_of, w, noise=None) -> np.ndarray:
        """Image float32 [N, channels, S, S], not clamped."""
        if noise is None or isinstance(noise, str):
            raise InputError(
                f"noise: {repr(noise)[:40]}; a stylegan2-pytorch network stores no noise maps, give float32 "
                f"[N, {self.card.image_size}, {self.card.image_size}]"
            )
        shapes = self._input_shapes("synthesis")
        arrays = {name: _array(name, value, shapes[name]) for name, value in (("w", w), ("noise", noise))}
        return self._part(backend_of, "synthesis").run(_of_one_batch(arrays))["image"]

    def _part(self, backend_of, part: str):
        if part not in self.source.parts:
            raise ModelError(f"{part}: {self.source.path} is the {self.key} network alone; load the whole one")
        return backend_of(part)

    def context(self, options: StyleGan2Options) -> dict:
        """What a dataset's recipe says of images beside what it says of every sample."""
        return {**_images.recipe_entries(self.card.channels), "card": self.source.said}

    def export(self, path: str, flavour: str = "portable", **options) -> None:
        """Write a graph, weights inside, to ``path``.

        Options: ``part`` "whole", "mapping" or "synthesis"; ``fidelity`` True for the graph that torch-fidelity takes;
        ``noise`` "input". Raises InputError for others.
        """
        part, noise, fidelity = (options.pop(key, None) for key in ("part", "noise", "fidelity"))
        if options:
            raise InputError(f"{self.name}: export has no option {', '.join(options)}")
        if noise not in (None, "input"):
            raise InputError(f"noise: {noise!r}; a stylegan2-pytorch network has no stored maps, noise is an input")
        if part not in (None, *PARTS):
            raise InputError(f"part: {part!r}; there are {', '.join(PARTS)}")
        if fidelity and (part not in (None, "whole") or flavour != "portable"):
            raise InputError("fidelity: torch-fidelity takes the whole network in its portable flavour")
        self.source.export(path, flavour, "fidelity" if fidelity else part or "whole")

    @property
    def mean_style(self) -> np.ndarray:
        """What styles are truncated toward, float32 [D]: of network S, whichever network makes the images."""
        return self.source.mean_style

    def info(self) -> dict:
        """The model card as a plain dictionary."""
        card, category = self.card, self.name.partition(".")
        kinds = {"z": {"distribution": "normal"}, "noise": {"range": [0.0, 1.0]}, "truncation_psi": {}, "w": {}}
        shapes = self._input_shapes(self.key)
        return {
            "model": self.name,
            "category": category[0] if category[1] else "none",
            "title": card.title,
            "synthetic": True,
            "inputs": {name: {"shape": shape, "dtype": "float32", **kinds[name]} for name, shape in shapes.items()},
            "output": {"shape": ["N", *self.sample_shape(None)], "dtype": "uint8", "unit": "grey level"},
            "image_size": card.image_size,
            "channels": card.channels,
            "latent_dim": card.latent_dim,
            "blocks": card.blocks,
            "style_depth": card.style_depth,
            "lr_mlp": card.lr_mlp,
            "attn_layers": list(card.attn_layers),
            "no_const": card.no_const,
            "version": card.version,
            "network": card.network,
            "truncation": card.truncation,
            "assumed": list(card.assumed),
            "licence": card.licence,
            "citation": card.citation,
            "source": card.source,
            "checkpoint": self.source.path,
            "weights_sha256": self.source.weights_sha256,
        }


def mix(first: np.ndarray, second: np.ndarray, blocks: int) -> np.ndarray:
    """Styles [N, blocks, D]: the first half of the blocks, rounded down, has ``first`` [N, D], the rest ``second``."""
    half = blocks // 2
    rows = [np.repeat(w[:, None], times, axis=1) for w, times in ((first, half), (second, blocks - half))]
    return np.concatenate(rows, axis=1)


def _array(name: str, value, shape: list) -> np.ndarray:
    """``value`` as float32 of ``shape``, in which "N" is any number. Raises InputError that names the input."""
    array = np.asarray(value)
    fits = array.ndim == len(shape) and all(n in ("N", m) for n, m in zip(shape, array.shape, strict=True))
    if not fits:
        needed = ", ".join(map(str, shape))
        raise InputError(f"{name} is {list(array.shape)}, needs {f'[{needed}]' if shape else 'a single number'}")
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name} is {array.dtype}, needs float32")
    return np.ascontiguousarray(array, np.float32).reshape(array.shape)


def _of_one_batch(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``arrays``, if those with a batch have the same, of one sample or more. Raises InputError."""
    (first, count), *others = [(name, len(array)) for name, array in arrays.items() if array.ndim]
    if not count:
        raise InputError(f"{first} is {list(arrays[first].shape)}; it needs one sample at least")
    for name, other in others:
        if other != count:
            raise InputError(f"{name} is for {other} samples, {first} for {count}; they must be as many")
    return arrays
