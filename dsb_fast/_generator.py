"""A loaded model: samples by number, the raw network, the model card."""

from __future__ import annotations

import logging
import operator
import threading
from collections.abc import Iterator

import numpy as np

from . import _backends, _kernels, _memory, _numpy_seeds
from ._errors import DeviceError, InputError, ModelError, shown
from ._filter.selection import measure, selected
from ._models import acceptance
from ._parallel import ordered
from ._prefetch import prefetched
from .random import check_range


class Generator:
    """A model on a device, as :func:`dsb_fast.load` returns it.

    Sample ``i`` of seed ``s`` is the same whatever the batch size, the number of threads and the range asked for.
    Methods may be called from several threads. Pickled, it opens the model again where it is read.
    """

    def __init__(
        self, model, device: str = "auto", precision: str = "fp32", backend: str = "auto", force_precision: bool = False
    ):
        self.model = model
        why = model.refused.get(precision)
        if why and not force_precision:
            raise DeviceError(f"precision {precision}: {model.name} fails its acceptance test ({why}); fp32 works")
        _backends.candidates(device, precision, backend)  # a wrong device is reported before anything is read
        self.precision = precision
        _kernels.active_variant()  # a variant that was forced and can't run is an error now, not at the first sample
        if precision == "fp32":
            opened = _backends.open_first(model.source, model.key, device, precision, None, backend)
        else:
            opened, missed = acceptance.open_accepted(model, device, precision, backend, force_precision)
            why = why or missed
        self.forced = why  # how far off the precision is that was asked for all the same; None of one that is accepted
        if why:
            logging.getLogger("dsb_fast").warning(
                "precision %s: %s fails its acceptance test (%s); going on, as asked", precision, model.name, why
            )
        model.source.confirm()
        self.backend, self.flavour = opened.backend, opened.backend.flavour
        self._open, self._opening = opened.at, threading.Lock()
        self._opened = {model.key: opened.backend, **opened.others}
        self.opened_with: dict | None = None  # load's arguments, by which another process opens the same
        self.graph_sha256 = opened.sha256  # weights derived at export are part of a sample's identity

    def __repr__(self) -> str:
        where = f"{self.backend.name} on {self.backend.device}"
        return f"<dsb_fast.Generator {self.model.name}: {where}, {self.precision}, {self.backend.grade}>"

    def __reduce__(self):
        """Pickled for another process, a generator is what ``load`` was given: that process opens the model itself."""
        if self.opened_with is None:
            raise ModelError(f"{self.model.name}: another process can't open this Generator; dsb_fast.load makes one")
        return _opened, (self.opened_with,)

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

    def share(self, count: int, threads: int) -> int:
        """Samples a call that are worth making where ``count`` are shared out to ``threads``."""
        return self.batch_size if self.backend.fixed_batch else max(1, -(-count // threads))

    def make(self, seed: int, start: int, count: int, options, threads: int = 1) -> np.ndarray:
        """``count`` samples in one call of the network, on one thread, or on ``threads`` where the backend can divide a
        call. ``options`` from ``model.options``."""
        return self.model.samples(self.backend_of, seed, start, count, options, threads)

    def batches(
        self, seed: int, start: int, count: int, options, batch_size: int | None = None, threads: int | None = None
    ):
        """Samples in order, as batches made in parallel: an iterator of arrays, a bounded number of them in memory."""
        threads = threads or self.backend.parallel
        if self.backend.divides and 0 < count <= (batch_size or self.batch_size * threads):
            return iter([self.make(seed, start, count, options, threads)])
        size = min(batch_size or self.batch_size, self.share(count, threads))
        jobs = ((first, min(size, start + count - first)) for first in range(start, start + count, size))
        threads = min(threads, -(-count // size) or 1)
        return ordered(lambda job: self.make(seed, *job, options), jobs, threads, 0 if threads == 1 else threads)

    def sample(self, count: int, seed: int = 0, start: int = 0, **options) -> np.ndarray:
        """Samples ``start`` to ``start + count - 1`` of ``seed``.

        ECG: int16 ``[count, 8, time]`` in microvolts, leads I, II, V1..V6; option ``leads=12`` gives the twelve of
        :func:`dsb_fast.leads.derive_12`. Images: uint8 ``[count, height, width, channels]`` grey levels; options
        ``truncation`` (toward the mean style; 1 is none), ``mixing`` (half of the styles of a second latent); of
        NVIDIA's and rosinality's networks also ``truncation_cutoff``, ``label``, ``noise`` and ``numpy_seed``
        (docs/images.md). Raises InputError for a number out of range, an option the model lacks, or more samples than
        fit in memory.

        >>> import dsb_fast
        >>> dsb_fast.load("cardiovascular.ecg").sample(2, seed=7).shape
        (2, 8, 5000)
        """
        seed, start, count = check_range(seed, start, count)
        chosen = self.model.options(**options)
        _numpy_seeds.check(chosen, seed, start, count)
        shape = (count, *self.model.sample_shape(chosen))
        out = _memory.empty(shape, self.model.dtype, "stream gives them batch after batch")
        done = 0
        for batch in self.batches(seed, start, count, chosen):
            if len(batch) == count and batch.flags.owndata:  # of one call: a copy would take time
                return batch
            out[done : done + len(batch)] = batch
            done += len(batch)
        return out

    def stream(
        self,
        count: int,
        seed: int = 0,
        start: int = 0,
        batch_size: int | None = None,
        prefetch: int | None = None,
        keep=None,
        with_index: bool = False,
        **options,
    ) -> Iterator:
        """The same samples as :meth:`sample`, batch after batch, in memory that does not grow with ``count``.

        While the consumer works on a batch, the next ``prefetch`` batches are made in the background: None is enough
        to keep every core busy, 0 makes nothing before it is asked for. Every batch but the last has ``batch_size``
        samples. Closing the iterator drops what is under way. Raises InputError as :meth:`sample` does, at once; what
        goes wrong later is raised by the batch that it concerns.

        ``keep``: only samples for which this condition on measurements is true, or this function of them is (docs/
        filters.md); batches are then what is left of them, and one of which nothing is left does not come.
        ``with_index`` gives (numbers int64 [n], samples); the numbers are uint64 from 2**63 on.
        """
        seed, start, count = check_range(seed, start, count)
        size = None if batch_size is None else whole_number("batch_size", batch_size, 1)
        ahead = None if prefetch is None else whole_number("prefetch", prefetch, 0)
        chosen = self.model.options(**options)
        _numpy_seeds.check(chosen, seed, start, count)
        share = self.share(count, self.backend.parallel)
        size = min(size or min(self.batch_size, share), max(1, count))
        shape = (size, *self.model.sample_shape(chosen))
        _memory.check("batch_size", shape, self.model.dtype, "smaller batches need less")
        batches = ((first, min(size, start + count - first)) for first in range(start, start + count, size))
        made = self.made_ahead(seed, batches, size, chosen, min(self.batch_size, share), prefetch=ahead)
        if keep is None and not with_index:
            return made
        return selected(self.model.context(chosen), made, range(start, start + count, size), keep, with_index)

    def measure(self, samples, names="all", **options) -> dict[str, np.ndarray]:
        """What filters measure (docs/filters.md) of this model's samples, such as :meth:`sample` gives.

        ``names``: a list, text with commas, or "all". Returns float64 ``[N]`` by name, NaN where not measurable. Raises
        InputError for a name that is no measurement or samples of another shape; ``options`` as made them.

        >>> import dsb_fast
        >>> generator = dsb_fast.load("cardiovascular.ecg")
        >>> generator.measure(generator.sample(2), "heart_rate_bpm")["heart_rate_bpm"].shape
        (2,)
        """
        chosen = self.model.options(**options)
        shape = self.model.sample_shape(chosen)
        samples = np.asarray(samples)
        if samples.ndim != len(shape) + 1 or samples.shape[1:] != tuple(shape) or samples.dtype != self.model.dtype:
            raise InputError(
                f"samples: {samples.dtype} {list(samples.shape)}; they must be {np.dtype(self.model.dtype)} "
                f"[N, {', '.join(map(str, shape))}]"
            )
        return measure(self.model.context(chosen), samples, names)

    def made_ahead(
        self, seed: int, batches, size: int, options, best: int | None = None, threads: int | None = None, prefetch=None
    ) -> Iterator[np.ndarray]:
        """Samples of each of ``batches``, (first, count) of ``size`` at most; see :func:`_prefetch.prefetched`."""
        return prefetched(
            lambda first, count: self.make(seed, first, count, options),
            batches,
            size,
            best or self.batch_size,
            threads or self.backend.parallel,
            prefetch,
        )

    def run(self, **inputs) -> dict[str, np.ndarray]:
        """The raw network: named float32 arrays in, named float32 arrays out.

        ECG: ``run(noise=...)["signal"]``, noise ``[N, 8, time]`` in [-1, 1), signal ``[N, 8, time]`` in (-1, 1); any
        time that is a multiple of 2500. stylegan2-pytorch: ``run(z=..., noise=..., truncation_psi=1)["image"]``, z
        ``[N, D]``, noise ``[N, S, S]`` (row, column), image ``[N, 3 or 4, S, S]``, black 0, white 1, not clamped.
        NVIDIA's and rosinality's: ``label`` ``[N, classes]`` of a conditional network, ``noise_0``, ``noise_1``, ...
        ``[N, 1, h, h]`` or, left out, the file's own; black -1, white 1. Raises InputError that names an input of the
        wrong shape.
        """
        arrays = self.model.check_run_inputs(inputs)
        return self.backend_of(self.model.key_of(arrays)).run(arrays)

    def mapping(self, z, label=None) -> np.ndarray:
        """StyleGAN2's mapping network: styles float32 ``[N, rows, D]`` of latents ``z`` ``[N, D]``, not truncated.

        All rows (one a block; of NVIDIA's and rosinality's networks one a layer) are alike until somebody mixes them.
        ``label`` of a conditional network: a class, a list of numbers, or one a latent, ``[N, classes]``. Raises
        InputError for a ``z`` of another shape, and ModelError for a model that has no such network.
        """
        return self._image_model("mapping").mapping(self.backend_of, z, label)

    def synthesis(self, w, noise=None) -> np.ndarray:
        """StyleGAN2's generator: image float32 ``[N, channels, S, S]``, not clamped, of styles ``w`` ``[N, rows, D]``.

        ``noise`` of stylegan2-pytorch: float32 ``[N, S, S]``, row and column as the package has them. Of NVIDIA's and
        rosinality's: a list of planes ``[N, 1, h, h]`` in forward order, "const" (None), the stored ones, or "none".
        Raises InputError for an input of another shape or noise that is not there, and ModelError for a model that has
        no such network.
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
            **({"forced": self.forced} if self.forced else {}),
            **({"note": self.backend.note} if self.backend.note else {}),
        }


def _opened(how: dict) -> Generator:
    from ._api import load

    return load(**how)


def whole_number(name: str, value, least: int) -> int:
    """``value`` as an int of ``least`` or more. Raises InputError that names the argument."""
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise InputError(f"{name}: {shown(value)}; it must be a whole number, {least} or more")
    return number
