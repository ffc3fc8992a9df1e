"""StyleGAN2 image models: what their networks' inputs and outputs mean.

stylegan2_card.py has the facts of a network, stylegan2_source.py its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .. import random
from .._errors import InputError, shown
from .exported_image import PARTS
from .image_model import LATENTS, NOISE, SECOND_LATENTS, ImageModel, array, is_flag, of_one_batch
from .on_device import Draw, WholeNumbers, whole_numbers

_REFUSED = {
    "label": "a stylegan2-pytorch network is not conditional, it has no labels",
    "truncation_cutoff": "a stylegan2-pytorch network truncates the styles of all blocks alike",
    "numpy_seed": "stylegan2-pytorch draws its latents with torch; NVIDIA's seed numbers are of NVIDIA's networks",
    "leads": "an image has none",
}


@dataclass(frozen=True)
class StyleGan2Options:
    """What shapes a sample beside model, weights, seed and index."""

    network: str
    truncation: float
    mixing: bool = False
    noise: str = "random"


class StyleGan2Model(ImageModel):
    """stylegan2-pytorch's networks."""

    levels = (255.0, 0.5)
    input_kinds: ClassVar[dict[str, dict]] = {"z": {"distribution": "normal"}, "noise": {"range": [0.0, 1.0]}}

    def __init__(self, source):
        super().__init__(source)
        self.key = source.parts[0]  # of the source's graph that is opened first

    def options(self, **given) -> StyleGan2Options:
        """Checked options. Raises InputError for one that this model does not have."""
        given = {name: value for name, value in given.items() if value is not None}
        for name, why in _REFUSED.items():
            if name in given:
                raise InputError(f"{name}: {shown(given[name])}; {why}")
        unknown = sorted(set(given) - {"truncation", "mixing", "noise", "network"})
        if unknown:
            raise InputError(f"{self.name}: no option is called {', '.join(unknown)}; there are truncation and mixing")
        if self.key != "whole":
            raise InputError(f"{self.source.path}: it is the {self.key} network alone; samples need the whole network")
        mixing = is_flag("mixing", given.get("mixing", False))
        if (noise := given.get("noise", "random")) != "random":
            raise InputError(f"noise: {noise!r}; a stylegan2-pytorch network has no stored maps and needs random ones")
        return StyleGan2Options(self.network_of(given), self.truncation_of(given), mixing)

    def samples(
        self, backend_of, seed: int, start: int, count: int, options: StyleGan2Options, threads: int = 1
    ) -> np.ndarray:
        """uint8 [count, height, width, channels]."""
        if backend_of(self.key).draws and not options.mixing:
            return self._made_on_device(backend_of, seed, start, count, options)
        inputs = self.inputs(seed, start, count, options)
        if not options.mixing:
            return self.outputs(backend_of("whole").run(inputs), options)
        second = random.normal(seed, start, count, self.card.latent_dim, SECOND_LATENTS, threads=1)
        styles = [self._truncated(backend_of("mapping").run({"z": z})["w"], options) for z in (inputs["z"], second)]
        w = mix(*styles, self.card.blocks)
        return self.outputs(backend_of("synthesis").run({"w": w, "noise": inputs["noise"]}), options)

    def _made_on_device(self, backend_of, seed: int, start: int, count: int, options: StyleGan2Options) -> np.ndarray:
        draws = [
            Draw("normal", LATENTS, {"z": (self.card.latent_dim,)}),
            Draw("uniform", NOISE, {"noise": (self.card.image_size, self.card.image_size)}),
        ]
        psi = {"truncation_psi": np.array(options.truncation, np.float32)}
        return whole_numbers(self.name, backend_of(WholeNumbers("whole")), draws, seed, start, count, psi)

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

    def key_of(self, inputs: dict[str, np.ndarray]) -> str:
        """The key of the graph that :meth:`check_run_inputs` checks for."""
        return self.key

    def check_run_inputs(self, given: dict) -> dict[str, np.ndarray]:
        """The raw network's inputs, checked. Raises InputError that names the input."""
        return self.checked_inputs(given, self._input_shapes(self.key))

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
        z = array("z", z, self._input_shapes("mapping")["z"])
        self.check_part("mapping")
        w = backend_of("mapping").run({"z": z})["w"]
        return np.repeat(w[:, None], self.card.blocks, axis=1)

    def synthesis(self, backend_of, w, noise=None) -> np.ndarray:
        """Image float32 [N, channels, S, S], not clamped."""
        if noise is None or isinstance(noise, str):
            raise InputError(
                f"noise: {repr(noise)[:40]}; a stylegan2-pytorch network stores no noise maps, give float32 "
                f"[N, {self.card.image_size}, {self.card.image_size}]"
            )
        shapes = self._input_shapes("synthesis")
        arrays = {name: array(name, value, shapes[name]) for name, value in (("w", w), ("noise", noise))}
        self.check_part("synthesis")
        return backend_of("synthesis").run(of_one_batch(arrays))["image"]

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

    def info(self) -> dict:
        """The model card as a plain dictionary."""
        card = self.card
        return {
            **self.common_info(self._input_shapes(self.key)),
            "blocks": card.blocks,
            "style_depth": card.style_depth,
            "lr_mlp": card.lr_mlp,
            "attn_layers": list(card.attn_layers),
            "no_const": card.no_const,
            "version": card.version,
            "network": card.network,
            "truncation": card.truncation,
            "assumed": list(card.assumed),
            **self.words(),
        }


def mix(first: np.ndarray, second: np.ndarray, blocks: int) -> np.ndarray:
    """Styles [N, blocks, D]: the first half of the blocks, rounded down, has ``first`` [N, D], the rest ``second``."""
    half = blocks // 2
    rows = [np.repeat(w[:, None], times, axis=1) for w, times in ((first, half), (second, blocks - half))]
    return np.concatenate(rows, axis=1)
