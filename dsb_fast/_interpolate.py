"""An animation of a network's images on a way through its latents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from . import _animation, _images, _latents, _numpy_seeds, random
from ._errors import InputError
from ._files import check_output, write_atomically
from ._parallel import ordered
from ._synthetic import Mark

SPACES = ("z", "w")
_LATENTS, _NOISE, _END_POINTS = 0, 1, 2  # streams
_MOST_POINTS = 100_000


@dataclass(frozen=True)
class Way:
    """Where an interpolation goes.

    ``seeds``: one for every end point, which is then the latent of sample 0 of that seed; without, the end points are
    numbers 0 to ``points - 1`` of ``seed`` in stream 2. The noise map is sample 0's of ``seed`` in every frame, so that
    nothing moves but the latent. ``truncation``, ``truncation_cutoff``, ``label`` and ``noise`` None are the model's
    own; a random label is sample 0's of ``seed``. With ``numpy_seed`` the latents are numpy's: of ``seeds``, or of
    ``seed`` and the numbers after it.
    """

    seed: int = 0
    seeds: tuple[int, ...] | None = None
    points: int = 2
    steps: int = 30
    space: str = "z"
    method: str = "slerp"
    loop: bool = False
    truncation: float | None = None
    truncation_cutoff: int | None = None
    label: int | list[float] | str | None = None
    noise: str | None = None
    numpy_seed: bool = False

    @property
    def options(self) -> dict:
        """Of the model, those that were given."""
        names = ("truncation", "truncation_cutoff", "label", "noise", "numpy_seed")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None and value is not False}


def frames(generator, way: Way) -> tuple[int, Iterator[np.ndarray]]:
    """How many frames a way has, and an iterator of them, uint8 [H, W, 3|4].

    In ``z`` the path is between the latents, in ``w`` between what the mapping network makes of them; truncation comes
    after it, as in a single image. Frames are made in batches; which ones they share a batch with changes no bit.
    Raises InputError.
    """
    about = generator.info
    inputs = about.get("inputs", {})
    if "z" not in inputs:
        raise InputError(f"{about.get('model')}: has no latents to go between; image networks have, given as a whole")
    if way.space not in SPACES:
        raise InputError(f"space: '{way.space}' is not known; there are {', '.join(SPACES)}")
    options = generator.model.options(**way.options)
    points = end_points(way, inputs["z"]["shape"][-1])
    if hasattr(generator.model, "still"):
        still, path, make = _by_model(generator, points, way, options)
    else:
        still = {}
        if "noise" in inputs:
            still = {"noise": random.uniform(way.seed, 0, 1, tuple(inputs["noise"]["shape"][1:]), _NOISE)}
        network = _through_w if way.space == "w" else _through_z
        path, make = network(generator, points, way, np.float32(options.truncation))

    size = generator.batch_size

    def images(at: int) -> np.ndarray:
        part = path[at : at + size]
        repeated = {name: np.repeat(value, len(part), axis=0) for name, value in still.items()}
        return generator.model.outputs({"image": make(part, repeated)}, options)

    threads = generator.backend.parallel
    batches = ordered(images, range(0, len(path), size), threads, 0 if threads == 1 else threads)
    return len(path), _one_by_one(batches)


def _one_by_one(batches) -> Iterator[np.ndarray]:
    with closing(batches):
        for batch in batches:
            yield from batch


def end_points(way: Way, latent_dim: int) -> np.ndarray:
    """The latents between which a way goes, float32 [K, D]. Raises InputError."""
    count = way.points if way.seeds is None else len(way.seeds)
    if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= _MOST_POINTS:
        raise InputError(f"{'points' if way.seeds is None else 'seeds'}: {count}; a way needs 2 to {_MOST_POINTS}")
    if way.numpy_seed:
        seeds = range(way.seed, way.seed + count) if way.seeds is None else way.seeds
        return np.concatenate([_numpy_seeds.latents(seed, 0, 1, latent_dim) for seed in seeds])
    if way.seeds is None:
        return random.normal(way.seed, 0, count, latent_dim, _END_POINTS)
    return np.concatenate([random.normal(seed, 0, 1, latent_dim, _LATENTS) for seed in way.seeds])


def _through_z(generator, points, way: Way, psi):
    def make(z, noise):
        return generator.run(z=z, truncation_psi=psi, **noise)["image"]

    return _latents.path(points, way.steps, way.method, way.loop), make


def _through_w(generator, points, way: Way, psi):
    w = generator.mapping(points)
    flat = _latents.path(w.reshape(len(w), -1), way.steps, way.method, way.loop)
    mean_style = generator.mean_style

    def make(styles, noise):
        return generator.synthesis(mean_style + psi * (styles - mean_style), **noise)

    return flat.reshape(len(flat), *w.shape[1:]), make


def _by_model(generator, points, way: Way, options):
    """What stays, the path, and what makes images of a part of it, for models that have noise and labels to keep."""
    model, backend_of = generator.model, generator.backend_of
    still = model.still(way.seed, 0, 1, options)
    if way.space == "z":
        path = _latents.path(points, way.steps, way.method, way.loop)
        return still, path, lambda z, kept: model.image_of_latents(backend_of, z, kept, options)
    w = np.concatenate([model.styles(backend_of, point[None], still) for point in points])
    flat = _latents.path(w.reshape(len(w), -1), way.steps, way.method, way.loop)
    path = flat.reshape(len(flat), *w.shape[1:])
    return still, path, lambda styles, kept: model.image_of_styles(backend_of, styles, kept, options)


def interpolate(
    generator,
    output: str,
    way: Way,
    *,
    fps: float = 12.5,
    save_frames: str | None = None,
    overwrite: bool = False,
    synthetic_mark: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the animation of a way to ``output`` (.gif, .webp, .mp4); returns the number of frames.

    ``save_frames``: a folder for the single frames too, ``0.png``, ``1.png``, ... Raises InputError if something is
    there already and ``overwrite`` is false, MissingDependencyError, GenerationError, OSError.
    """
    _animation.check(output, fps)
    _refuse_existing(output, save_frames, overwrite)
    count, images = frames(generator, way)
    mark = None
    if synthetic_mark:
        seeds = {"seed": way.seed} if way.seeds is None else {"seed": ",".join(map(str, way.seeds[:20]))}
        mark = Mark.of({**generator.info, **seeds})
    if save_frames:
        os.makedirs(save_frames, exist_ok=True)

    def seen() -> Iterator[np.ndarray]:
        with closing(images):
            for number, image in enumerate(images):
                if save_frames:
                    path = os.path.join(save_frames, f"{number}.png")
                    write_atomically(path, _images.encode(image, "png", mark))
                yield image
                if progress:
                    progress(number + 1, count)

    with closing(seen()) as watched:
        return _animation.write(output, watched, fps, mark=mark)


def _refuse_existing(output: str, save_frames: str | None, overwrite: bool) -> None:
    check_output(output)
    if save_frames and os.path.exists(save_frames) and not os.path.isdir(save_frames):
        raise InputError(f"{save_frames}: not a folder; --save-frames takes one, or a new name")
    if overwrite:
        return
    if os.path.lexists(output):
        raise InputError(f"{output}: is there already; name another file with -o, or use --overwrite")
    if save_frames and os.path.isdir(save_frames) and os.listdir(save_frames):
        raise InputError(f"{save_frames}: not empty; name another folder, or use --overwrite")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from "1,2,3". Raises InputError."""
    try:
        seeds = tuple(int(word) for word in text.split(","))
    except ValueError:
        raise InputError(f"--seeds: '{text}'; whole numbers with commas between, such as 1,2,3") from None
    if any(not 0 <= seed < 1 << 64 for seed in seeds):
        raise InputError(f"--seeds: '{text}'; seeds go from 0 to 2^64-1")
    return seeds
