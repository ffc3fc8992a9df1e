"""A dataset's recipe: what a manifest says before anything is made, and the generator that it calls for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict

import numpy as np

from .. import _numpy_seeds
from .._errors import InputError, VerificationError
from .._filter.selection import entries
from .._generator import Generator
from ..random import check_range
from . import writers
from .kept import check_filtered
from .manifest_file import FORMAT_VERSION


def make_recipe(
    generator: Generator,
    count: int,
    seed: int = 0,
    start: int = 0,
    format: str | None = None,
    shard_size: int | None = None,
    format_options: dict | None = None,
    keep: str | Callable | None = None,
    keep_id: str | None = None,
    annotate: str | Iterable[str] | None = None,
    **options,
) -> tuple[dict, object, writers.Format]:
    """The manifest's recipe, the model's checked options, and the format. Raises InputError.

    ``keep``: a condition on measurements, or a function of them that ``keep_id`` names; ``annotate``: measurements that
    are written beside each sample, "all" for all (docs/filters.md).
    """
    seed, start, count = check_range(seed, start, count)
    if count == 0:
        raise InputError("count: 0 samples make no dataset; ask for at least 1")
    model = generator.model
    chosen = model.options(**options)
    _numpy_seeds.check(chosen, seed, start, count)
    about = model.context(chosen)
    kind = writers.find(format or model.default_format, writers.SIGNAL if about.get("lead_names") else writers.IMAGE)
    if start + count - 1 > kind.largest_number:
        raise InputError(
            f"start: format {kind.name} holds samples up to number {kind.largest_number}, and the last is "
            f"{start + count - 1}; npy and others hold all"
        )
    format_options = dict(format_options or {})
    unknown = sorted(set(format_options) - set(kind.options))
    if unknown:
        has = ", ".join(kind.options) or "none"
        raise InputError(f"format {kind.name}: no option is called {', '.join(unknown)}; it has {has}")
    info = model.info()
    recipe = {
        "format_version": FORMAT_VERSION,
        "model": model.name,
        "title": info["title"],
        "licence": info["licence"],
        "citation": info["citation"],
        "options": asdict(chosen),
        "weights_sha256": info["weights_sha256"],
        "graph_sha256": generator.graph_sha256,
        "grade": generator.backend.grade,
        "depends_on": dict(generator.backend.depends_on),
        "seed": seed,
        "start": start,
        "count": count,
        "format": kind.name,
        "format_options": {**kind.options, **format_options},
        "precision": generator.precision,
        "backend": generator.backend.name,
        "flavour": generator.flavour,
        "shard_size": kind.default_shard_size,
        "sample_shape": list(model.sample_shape(chosen)),
        "sample_dtype": np.dtype(model.dtype).name,
        **about,
    }
    recipe.update(entries(recipe, keep, keep_id, annotate))
    format_ = kind(writers.FormatContext.of(recipe))
    recipe["shard_size"] = _shard_size(shard_size, format_)
    if generator.forced:
        recipe["forced_precision"] = True  # how far off it is may differ a little from machine to machine
    check_filtered(recipe, format_)
    if format_.encoder:
        recipe["encoder"] = format_.encoder
    return recipe, chosen, format_


def _shard_size(asked: int | None, format_: writers.Format) -> int:
    """Samples a shard: what was asked for, checked; else the format's default, made of whole files."""
    group = format_.group
    if asked is None:
        return -(-format_.default_shard_size // group) * group
    if isinstance(asked, bool) or not isinstance(asked, int) or not 1 <= asked <= 1_000_000:
        raise InputError(f"shard_size: {asked!r}; it must be from 1 to 1000000")
    if asked % group:
        raise InputError(f"shard_size: {asked}; with {group} samples a sheet it must be a multiple of {group}")
    return asked


def load_again(manifest: dict, where: str, device: str | None = None, checkpoint: str | None = None) -> Generator:
    """The generator that a manifest calls for; ``where`` names the manifest in errors.

    ``device`` if not that of the manifest, ``checkpoint`` if the weights are in no registered model. Raises InputError
    where they must be named, VerificationError if the weights are others.
    """
    from .._api import load

    settings = {}
    if manifest.get("lead_names"):
        settings["card"] = {
            "length": manifest["sample_shape"][-1],
            "scale": manifest.get("scale"),
            "unit": manifest.get("scale_unit"),
            "sampling_rate_hz": manifest.get("sampling_rate_hz"),
        }
    elif isinstance(manifest.get("card"), dict):
        settings["card"] = manifest["card"]
    if "network" in manifest["options"]:  # chosen when a model is loaded
        settings["network"] = manifest["options"]["network"]
    if checkpoint is None and "." not in manifest["model"]:  # no registered name
        raise InputError(f"{where}: made with weights that are in no registered model; --checkpoint names them")
    if str(manifest.get("backend")).startswith("torch-"):
        settings["backend"] = "torch"
    if manifest.get("forced_precision"):
        settings["force_precision"] = True
    precision = str(manifest.get("precision", "fp32"))
    generator = load(manifest["model"], device or _device(manifest), precision, checkpoint, **settings)
    if generator.info["weights_sha256"] != manifest.get("weights_sha256"):
        raise VerificationError(
            f"{where}: made with other weights ({str(manifest.get('weights_sha256'))[:16]}...); --checkpoint names them"
        )
    return generator


def _device(manifest: dict) -> str:
    device = {"openvino": "openvino", "onnxruntime-tensorrt": "tensorrt"}
    backend = str(manifest.get("backend"))
    return device.get(backend, "cuda" if backend.endswith("-cuda") else "cpu")


def same_footing(generator: Generator, manifest: dict) -> bool:
    """Whether what ``generator`` makes has the bits that the manifest's samples have."""
    return (
        manifest["grade"] != "near"
        and dict(generator.backend.depends_on) == manifest["depends_on"]
        and generator.graph_sha256 == manifest.get("graph_sha256")
    )
