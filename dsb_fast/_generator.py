"""A loaded model: samples by number, the raw network, the model card."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np

from . import _backends, _kernels
from ._errors import DeviceError, InputError, ModelError
from ._parallel import ordered
from .random import check_range


class Generator:
    """A model on a device, as :func:`dsb_fast.load` returns it.

    Sample ``i`` of seed ``s`` is the same whatever the batch size, the number of threads and the range asked for.
    Methods may be called from several threads.
    """

    opened_with: dict | None = None  # the arguments of dsb_fast.load, by which another process opens the same

    def __init__(self, model, device: str = "auto", precision: str = "fp32"):
        self.model = model
        if why := model.refused.get(precision):
            raise DeviceError(f"precision {precision}: {model.name} fails its acceptance test ({why}); fp32 works")
        _backends.candidates(device, precision)  # a wrong device is reported before anything is read
        self.precision = precision
        _kernels.active_variant()  # a variant that was forced and can't run is an error now, not at the first sample
        opened = _backends.open_first(model.source, model.key, device, precision)
        model.source.confirm()
        self.backend, self.flavour = opened.backend, opened.backend.flavour
        self._open, self._opened, self._opening = opened.at, {model.key: opened.backend}, threading.Lock()
        self.graph_sha256 = opened.sha256  # weights derived at export are part of a sample's identity

    def backend_of(self, key):
        """The backend of the graph that ``key`` names (see :func:`_backends.open_first`), opened at the first call."""
        with self._opening:
            if key not in self._opened:
                self._opened[key] = self._open(key)
            return self._opened[key]

    @property
    def batch_size(self) -> int:
        """Samples a call of the network at which the speed is best and the memory modest."""
        return self.model.batch_size(self.backend)

    def make(self, seed: int, start: int, count: int, options) -> np.ndarray:
        """``count`` samples in one call of the network, on the calling thread. ``options`` from ``model.options``."""
        return self.model.samples(self.backend_of, seed, start, count, options)

    def batches(
        self, seed: int, start: int, count: int, options, batch_size: int | None = None, threads: int | None = None
    ):
        """Samples in order, as batches made in parallel: an iterator of arrays, a bounded number of them in memory."""
        threads = threads or self.backend.parallel
        size = min(batch_size or self.batch_size, max(1, -(-count // threads)))
        jobs = ((first, min(size, start + count - first)) for first in range(start, start + count, size))
        threads = min(threads, -(-count // size) or 1)
        return ordered(lambda job: self.make(seed, *job, options), jobs, threads, 0 if threads == 1 else threads)

    def sample(self, count: int, seed: int = 0, start: int = 0, **options) -> np.ndarray:
        """Samples ``start`` to ``start + count - 1`` of ``seed``.

        ECG: int16 ``[count, 8, time]`` in microvolts, leads I, II, V1..V6; option ``leads=12`` gives the twelve of
        :func:`dsb_fast.leads.derive_12`. Images: uint8 ``[count, height, width, 3 or 4]`` grey levels; options
        ``truncation`` (toward the mean style; 1 is none), ``mixing`` (half of the blocks styled by a second latent).
        Raises InputError for a number out of range or an option the model lacks.

        >>> import dsb_fast
        >>> dsb_fast.load("cardiovascular.ecg").sample(2, seed=7).shape
        (2, 8, 5000)
        """
        seed, start, count = check_range(seed, start, count)
        chosen = self.model.options(**options)
        out = np.empty((count, *self.model.sample_shape(chosen)), self.model.dtype)
        done = 0
        for batch in self.batches(seed, start, count, chosen):
            out[done : done + len(batch)] = batch
            done += len(batch)
        return out

    def stream(
        self, count: int, seed: int = 0, start: int = 0, batch_size: int | None = None, **options
    ) -> Iterator[np.ndarray]:
        """The same samples as :meth:`sample`, batch after batch, in memory that does not grow with ``count``."""
        seed, start, count = check_range(seed, start, count)
        if batch_size is not None and (
            isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1
        ):
            raise InputError(f"batch_size: {batch_size!r}; it must be a whole number above 0")
        chosen = self.model.options(**options)
        if batch_size is None:
            return self.batches(seed, start, count, chosen)
        return self._regrouped(seed, start, count, chosen, batch_size)

    def _regrouped(self, seed, start, count, options, batch_size) -> Iterator[np.ndarray]:
        """Batches of exactly ``batch_size`` (the last may be smaller), each made in parts by all threads."""
        held: list[np.ndarray] = []
        have = 0
        for part in self.batches(seed, start, count, options, min(batch_size, self.batch_size)):
            held.append(part)
            have += len(part)
            while have >= batch_size:
                joined = np.concatenate(held) if len(held) > 1 else held[0]
                yield joined[:batch_size]
                held, have = [joined[batch_size:]], have - batch_size
        if have:
            yield np.concatenate(held)

    def run(self, **inputs) -> dict[str, np.ndarray]:
        """The raw network: named float32 arrays in, named float32 arrays out.

        ECG: ``run(noise=...)["signal"]``, noise ``[N, 8, time]`` in [-1, 1), signal ``[N, 8, time]`` in (-1, 1); any
        time that is a multiple of 2500. StyleGAN2: ``run(z=..., noise=..., truncation_psi=1)["image"]``, z ``[N, D]``,
        noise ``[N, S, S]`` (row, column), image ``[N, 3 or 4, S, S]``, black 0, white 1, not clamped. Raises InputError
        that names an input of the wrong shape.
        """
        arrays = self.model.check_run_inputs(inputs)
        return self.backend_of(self.model.key_of(arrays)).run(arrays)

    def mapping(self, z, label=None) -> np.ndarray:
        """StyleGAN2's mapping network: styles float32 ``[N, blocks, D]`` of latents ``z`` ``[N, D]``, not truncated.

        Every block has the same style until somebody mixes them. Raises InputError for a ``z`` of another shape, and
        ModelError for a model that has no such network.
        """
        return self._image_model("mapping").mapping(self.backend_of, z, label)

    def synthesis(self, w, noise=None) -> np.ndarray:
        """StyleGAN2's generator: image float32 ``[N, 3 or 4, S, S]``, not clamped, of styles ``w`` ``[N, blocks, D]``.

        ``noise`` float32 ``[N, S, S]``, row and column as the package stylegan2-pytorch has them. Raises InputError for
        an input of another shape or no noise, and ModelError for a model that has no such network.
        """
        return self._image_model("synthesis").synthesis(self.backend_of, w, noise)

    @property
    def mean_style(self) -> np.ndarray:
        """StyleGAN2: what styles are truncated toward, float32 ``[D]``. Raises ModelError for other models."""
        return self._image_model("mean_style").mean_style

    def _image_model(self, what: str):
        if not hasattr(self.model, what):
            raise ModelError(f"{what}: {self.model.name} is no StyleGAN2 network; it has run and sample")
        return self.model

    @property
    def info(self) -> dict:
        """Model card (shapes, units, leads, licence, citation, weights), backend, flavour, variant and grade."""
        return {
            **self.model.info(),
            "backend": self.backend.name,
            "precision": self.precision,
            "flavour": self.flavour,
            "variant": _kernels.active_variant(),
            "grade": self.backend.grade,
            "depends_on": dict(self.backend.depends_on),
        }
