"""load, models, devices: what users call first."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ._errors import InputError, ModelError
from ._models import REGISTERED, by_category


def load(
    model,
    device: str = "auto",
    precision: str = "fp32",
    checkpoint=None,
    *,
    card=None,
    network=None,
    backend="auto",
    force_precision: bool = False,
):
    """A :class:`Generator` for a registered model, a checkpoint, a model folder or an exported ONNX file.

    Parameters: ``model`` a name such as "cardiovascular.ecg" or a path; ``device`` "auto", "cpu", "cuda", "cuda:1",
    "tensorrt" (docs/providers.md) or "openvino"; ``backend`` "auto" or whose runtime it is to be, "onnxruntime",
    "native", "openvino" or "torch" (docs/gpu.md); ``precision`` "fp32" or, where a model passes its acceptance test,
    "bf16" or "fp16"; ``force_precision`` takes one that fails it, with a warning; ``checkpoint`` other weights for a
    registered model; ``network`` "ema" (averaged, the default) or "plain" of a StyleGAN2 checkpoint; ``card`` a
    dictionary of what a foreign checkpoint does not say: of an ECG network length, scale, unit ("uV" or "mV"),
    sampling_rate_hz, leads; of an image network lr_mlp; of both licence, citation. What is missing is taken from the
    published model and listed in ``info["assumed"]``.

    Raises ModelError, CheckpointError or DeviceError, each one line.

    >>> load("cardiovascular.ecg").info["leads"]
    ['I', 'II', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6']
    """
    from ._generator import Generator
    from ._models.opening import open_model

    if not isinstance(model, (str, os.PathLike)):
        raise ModelError(f"model: {model!r} is neither a name nor a path")
    how = opened_with(model, device, precision, checkpoint, card, network, backend, force_precision)
    generator = Generator(open_model(model, checkpoint, card, network), device, precision, backend, force_precision)
    generator.opened_with = how
    return generator


def _check_given(checkpoint, card) -> None:
    if checkpoint is not None and (not isinstance(checkpoint, (str, os.PathLike)) or not os.fspath(checkpoint)):
        raise InputError(f"checkpoint: {checkpoint!r} is no path; name a file, or leave it out")
    if card is not None and not (isinstance(card, Mapping) and all(isinstance(name, str) for name in card)):
        raise InputError(f"card: {card!r} is no dictionary of names, such as {{'unit': 'mV', 'scale': 1}}")


def opened_with(
    model,
    device="auto",
    precision="fp32",
    checkpoint=None,
    card=None,
    network=None,
    backend="auto",
    force_precision=False,
) -> dict:
    """:func:`load`'s arguments as JSON has them, by which another process, in whichever folder, loads the same.

    Raises InputError for a checkpoint that is no path and a card that is no dictionary.
    """
    _check_given(checkpoint, card)
    return {
        "model": _lasting(model) if checkpoint is None else os.fspath(model),
        "device": device,
        "precision": precision,
        "checkpoint": None if checkpoint is None else _lasting(checkpoint),
        "card": None if card is None else dict(card),
        "network": network,
        "backend": backend,
        "force_precision": force_precision,
    }


def _lasting(model) -> str:
    """A registered name as it is; a path made absolute."""
    name = os.fspath(model)
    return os.path.abspath(name) if name not in REGISTERED and os.path.exists(name) else name


def models() -> dict[str, list[str]]:
    """Every category of the body with the names of its registered models; empty ones are listed as empty."""
    return by_category()


def devices() -> list[dict]:
    """What ``device="auto"`` can pick from, best first: device, available, auto, detail, and the reason why not."""
    from dataclasses import asdict

    from . import _backends

    return [asdict(row) for row in _backends.devices()]
