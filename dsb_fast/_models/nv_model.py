"""NVIDIA's and rosinality's StyleGAN2: what their networks' inputs and outputs mean.

nv_card.py has the facts of a network, nv_source.py its weights, nv_options.py what samples are made from.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .. import _labels, _numpy_seeds, random
from .._errors import InputError
from . import acceptance
from .exported_image import PARTS
from .image_model import LATENTS, NOISE, SECOND_LATENTS, ImageModel, array, is_flag, of_one_batch
from .nv_card import EXPORTED, MODES
from .nv_options import NvOptions, check_cutoff, check_label, planes
from .nv_source import GRAPH_OF, Key, input_shapes
from .on_device import Draw, WholeNumbers, whole_numbers

_MODE_OF = {noise: mode for mode, noise in GRAPH_OF.items()}
_OPTIONS = ("truncation", "truncation_cutoff", "label", "noise", "mixing", "numpy_seed")


class NvModel(ImageModel):
    """The StyleGAN2 of NVIDIA's repositories and of rosinality's."""

    levels = (127.5, 128.0)
    input_kinds: ClassVar[dict[str, dict]] = {"z": {"distribution": "normal"}, "noise": {"distribution": "normal"}}

    def __init__(self, source):
        super().__init__(source)
        part = source.parts[0]
        self.key: Key = (part, "none" if part == "mapping" else source.noises[0])  # of the graph that is opened first

    def options(self, **given) -> NvOptions:
        """Checked options. Raises InputError for one that this model does not have."""
        given = {name: value for name, value in given.items() if value is not None}
        unknown = sorted(set(given) - {*_OPTIONS, "network"})
        if unknown:
            raise InputError(f"{self.name}: no option is called {', '.join(unknown)}; there are {', '.join(_OPTIONS)}")
        if self.key[0] != "whole":
            raise InputError(
                f"{self.source.path}: it is the {self.key[0]} network alone; samples need the whole network"
            )
        return NvOptions(
            self.network_of(given),
            self.truncation_of(given),
            check_cutoff(given.get("truncation_cutoff", self.card.truncation_cutoff), self.card.num_ws),
            check_label(given.get("label"), self.card.labels),
            self._noise(given.get("noise", _MODE_OF[self.key[1]])),
            is_flag("mixing", given.get("mixing", False)),
            is_flag("numpy_seed", given.get("numpy_seed", False)),
        )

    def _noise(self, mode) -> str:
        """The option ``noise``; in a network without noise layers all are alike."""
        if not isinstance(mode, str) or mode not in MODES:
            raise InputError(f"noise: {repr(mode)[:40]}; there are {', '.join(MODES)}")
        if not self.card.noise_sizes:
            return "none"
        self._check_noise(mode)
        return mode

    def _check_noise(self, mode: str) -> None:
        if GRAPH_OF[mode] in self.source.noises:
            return
        if mode == "const" and not self.card.stored_noise:
            raise InputError(f"noise: 'const'; {self.source.path} stores no noise maps, random and none work")
        raise InputError(
            f"noise: {mode!r}; {self.source.path} was exported with noise {self.source.noises[0]}; export the "
            f"checkpoint again with noise {GRAPH_OF[mode]}"
        )

    def samples(
        self, backend_of, seed: int, start: int, count: int, options: NvOptions, threads: int = 1
    ) -> np.ndarray:
        """uint8 [count, height, width, channels]."""
        if self._drawn_on_device(backend_of, options):
            return self._made_on_device(backend_of, seed, start, count, options)
        z = self.latents(seed, start, count, options)
        still = self.still(seed, start, count, options)
        if not options.mixing:
            return self.outputs({"image": self.image_of_latents(backend_of, z, still, options)}, options)
        second = random.normal(seed, start, count, self.card.latent_dim, SECOND_LATENTS, threads=1)
        half = self.card.num_ws // 2
        w = [self.styles(backend_of, latent, still) for latent in (z, second)]
        mixed = np.concatenate([w[0][:, :half], w[1][:, half:]], axis=1)
        return self.outputs({"image": self.image_of_styles(backend_of, mixed, still, options)}, options)

    def _drawn_on_device(self, backend_of, options: NvOptions) -> bool:
        """Whether all that the options ask for is in the graph that a device runs from numbers to grey levels."""
        plain = options.truncation_cutoff is None and not options.mixing and not options.numpy_seed
        return plain and backend_of(self.key).draws

    def _made_on_device(self, backend_of, seed: int, start: int, count: int, options: NvOptions) -> np.ndarray:
        draws = [Draw("normal", LATENTS, {"z": (self.card.latent_dim,)})]
        if options.noise == "random" and self.card.planes:
            shapes = {name: tuple(shape[1:]) for name, shape in self.card.planes.items()}
            draws.append(Draw("normal", NOISE, shapes))
        still = {"truncation_psi": np.array(options.truncation, np.float32)}
        if self.card.labels:
            still["label"] = _labels.rows(seed, start, count, options.label, self.card.labels)
        backend = backend_of(WholeNumbers(("whole", GRAPH_OF[options.noise])))
        return whole_numbers(self.name, backend, draws, seed, start, count, still)

    def latents(self, seed: int, start: int, count: int, options: NvOptions) -> np.ndarray:
        """z float32 [count, latent_dim]. Raises InputError where numpy has no such seed."""
        if options.numpy_seed:
            return _numpy_seeds.latents(seed, start, count, self.card.latent_dim)
        return random.normal(seed, start, count, self.card.latent_dim, LATENTS, threads=1)

    def still(self, seed: int, start: int, count: int, options: NvOptions) -> dict[str, np.ndarray]:
        """What the network takes beside latents or styles: labels of a conditional one, and random noise planes."""
        label = {}
        if self.card.labels:
            label = {"label": _labels.rows(seed, start, count, options.label, self.card.labels)}
        drawn = planes(seed, start, count, self.card.noise_sizes) if options.noise == "random" else {}
        return {**label, **drawn}

    def image_of_latents(self, backend_of, z, still: dict, options: NvOptions) -> np.ndarray:
        """Image float32 [N, channels, S, S] of ``z`` and of what :meth:`still` gives."""
        if options.truncation_cutoff is not None:
            return self.image_of_styles(backend_of, self.styles(backend_of, z, still), still, options)
        psi = np.array(options.truncation, np.float32)
        return backend_of(("whole", GRAPH_OF[options.noise])).run({"z": z, **still, "truncation_psi": psi})["image"]

    def image_of_styles(self, backend_of, w, still: dict, options: NvOptions) -> np.ndarray:
        """Image float32 [N, channels, S, S] of ``w`` [N, num_ws, style_dim], which is truncated here."""
        inputs = {"w": self._truncated(w, options), **{name: still[name] for name in still if name != "label"}}
        return backend_of(("synthesis", GRAPH_OF[options.noise])).run(inputs)["image"]

    def styles(self, backend_of, z, still: dict) -> np.ndarray:
        """w float32 [N, num_ws, style_dim] of ``z`` and of what :meth:`still` gives, not truncated."""
        label = {"label": still["label"]} if "label" in still else {}
        return backend_of(("mapping", "none")).run({"z": z, **label})["w"]

    def _truncated(self, w: np.ndarray, options: NvOptions) -> np.ndarray:
        """The first rows of w, or all, drawn toward the mean; rosinality's networks ignore a number above 1."""
        psi = min(options.truncation, 1.0) if self.card.family == "rosinality" else options.truncation
        mean, out = self.mean_style, np.array(w)
        rows = out[:, : options.truncation_cutoff]
        rows[:] = mean + np.float32(psi) * (rows - mean)
        return out

    def key_of(self, inputs: dict[str, np.ndarray]) -> Key:
        """The key of the graph that takes ``inputs``: with noise planes or without."""
        part, noise = self.key
        takes = part != "mapping" and "input" in self.source.noises
        return part, "input" if takes and any(name.startswith("noise_") for name in inputs) else noise

    def check_run_inputs(self, given: dict) -> dict[str, np.ndarray]:
        """The raw network's inputs, checked. Raises InputError that names the input."""
        return self.checked_inputs(given, input_shapes(self.card, *self.key_of(given)))

    def mapping(self, backend_of, z, label=None) -> np.ndarray:
        """Styles float32 [N, num_ws, style_dim], not truncated. ``label``: a class, numbers for all, or [N, labels]."""
        z = array("z", z, ["N", self.card.latent_dim])
        inputs = of_one_batch({"z": z, **self._labels(label, len(z))})
        self.check_part("mapping")
        return self.styles(backend_of, z, inputs)

    def _labels(self, label, count: int) -> dict[str, np.ndarray]:
        """The input ``label`` for ``count`` samples, of what a caller gave."""
        size = self.card.labels
        if not size:
            if label is not None and np.size(label):
                check_label(label, size)
            return {}
        if label is None:
            raise InputError(f"label: missing; this network is conditional: a class, 0 to {size - 1}, or [N, {size}]")
        if np.ndim(label) == 2:
            return {"label": array("label", label, ["N", size])}
        checked = check_label(label, size)
        if isinstance(checked, str):
            raise InputError("label: 'random'; latents without a number have no label of their own, give classes")
        return {"label": _labels.rows(0, 0, count, checked, size)}

    def synthesis(self, backend_of, w, noise=None) -> np.ndarray:
        """Image float32 [N, channels, S, S], not clamped, of ``w`` as it is.

        ``noise``: a list of planes [N, 1, h, h] in forward order, "none", or "const" (None): the stored ones.
        """
        arrays = {"w": array("w", w, ["N", self.card.num_ws, self.card.style_dim])}
        self.check_part("synthesis")
        if mode := self._stored_mode(noise):
            return backend_of(("synthesis", GRAPH_OF[mode])).run(of_one_batch(arrays))["image"]
        arrays |= self._planes(noise)
        return backend_of(("synthesis", "input" if len(arrays) > 1 else "none")).run(of_one_batch(arrays))["image"]

    def _stored_mode(self, noise) -> str | None:
        """The mode that a caller of :meth:`synthesis` asks for by name; None where he gives planes."""
        if noise is not None and not isinstance(noise, str):
            self._check_noise("random" if self.card.noise_sizes else "none")
            return None
        own = "const" if "const" in self.source.noises else _MODE_OF[self.source.noises[0]]
        mode = self._noise(own if noise is None else noise)
        if mode == "random":
            others = "; 'const' are the stored ones" if "const" in self.source.noises else ""
            raise InputError(f"noise: {noise!r}; give a list of planes, one a layer, or 'none'{others}")
        return mode

    def _planes(self, noise) -> dict[str, np.ndarray]:
        shapes = self.card.planes
        if not isinstance(noise, (list, tuple)) or len(noise) != len(shapes):
            found = f"{len(noise)} planes" if isinstance(noise, (list, tuple)) else type(noise).__name__
            raise InputError(
                f"noise: {found}; it is a list of {len(shapes)} planes [N, 1, h, h], 'const' or 'none'; h is "
                f"{', '.join(map(str, self.card.noise_sizes))}"
            )
        return {name: array(name, plane, shapes[name]) for name, plane in zip(shapes, noise, strict=True)}

    def context(self, options: NvOptions) -> dict:
        """What a dataset's recipe says of images, and how many classes a conditional network has."""
        return {**super().context(options), **({"labels": self.card.labels} if self.card.labels else {})}

    def export(self, path: str, flavour: str = "portable", **options) -> None:
        """Write a graph, weights inside, to ``path``.

        Options: ``part`` "whole", "mapping" or "synthesis"; ``noise`` "input", "const" or "none", by default "const"
        where maps are stored; ``precision`` "fp32" or, of portable graphs, "fp16". Raises InputError for others, and
        DeviceError, with the reason, if the network in that precision fails its acceptance test.
        """
        part, noise, fidelity, precision = (
            options.pop(key, None) for key in ("part", "noise", "fidelity", "precision")
        )
        if options:
            raise InputError(f"{self.name}: export has no option {', '.join(options)}")
        if fidelity:
            raise InputError("fidelity: that graph is made of stylegan2-pytorch networks only")
        if part not in (None, *PARTS):
            raise InputError(f"part: {repr(part)[:40]}; there are {', '.join(PARTS)}")
        part = part or self.key[0]
        if noise not in (None, *EXPORTED):
            raise InputError(f"noise: {repr(noise)[:40]}; there are {', '.join(EXPORTED)}")
        noise = self.source.noises[0] if noise is None else noise
        if noise not in self.source.noises:
            if self.card.noise_sizes:
                self._check_noise(_MODE_OF[noise])
            noise = "none"
        self._accept(precision or "fp32", flavour)
        self.source.export(path, flavour, (part, "none" if part == "mapping" else noise), precision or "fp32")

    def _accept(self, precision: str, flavour: str) -> None:
        """Raises InputError for a precision that is not exported, DeviceError for one that the network fails in."""
        if precision not in ("fp32", "fp16") or (precision == "fp16" and flavour != "portable"):
            raise InputError(f"precision: {repr(precision)[:40]}; exported are fp32, and fp16 of portable graphs")
        if precision not in self.source.plans:
            raise InputError(
                f"precision: {self.source.path} is in {next(iter(self.source.plans))}; {precision} needs a checkpoint"
            )
        if precision == "fp16" and "fp32" in self.source.plans:
            acceptance.open_accepted(self, "cpu", precision)

    def info(self) -> dict:
        """The model card as a plain dictionary."""
        card = self.card
        return {
            **self.common_info(input_shapes(card, *self.key)),
            "family": card.family,
            "style_dim": card.style_dim,
            "num_ws": card.num_ws,
            "labels": card.labels,
            "architecture": card.architecture,
            "noise_sizes": list(card.noise_sizes),
            "stored_noise": card.stored_noise,
            "noise": [_MODE_OF[noise] for noise in self.source.noises],
            "mean_estimated": card.mean_estimated,
            "network": card.network,
            "truncation": card.truncation,
            "assumed": list(card.assumed),
            **self.words(),
        }
