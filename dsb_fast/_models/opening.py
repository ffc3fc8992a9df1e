"""Which model a name or a file is: registered names, checkpoints told apart by what is in them, exported ONNX files."""

from __future__ import annotations

import os

from .. import _files
from .._errors import CheckpointError, InputError, ModelError
from . import REGISTERED, ecg
from .ecg import EcgModel
from .ecg_source import open_source
from .stylegan2 import StyleGan2Model
from .stylegan2_card import FOREIGN, GITRACT
from .stylegan2_source import Checkpoint, ExportedGraph

_IMAGES = (GITRACT, FOREIGN)


def open_model(name, checkpoint=None, values: dict | None = None, network: str | None = None):
    """The :class:`EcgModel` or :class:`StyleGan2Model` that ``name``, a registered name or a path, stands for.

    ``checkpoint`` is another weight file, model folder or exported file for a registered name, ``values`` what a file
    does not say of itself, ``network`` "ema" or "plain" of an image model. Raises ModelError, CheckpointError or
    InputError, each one line.
    """
    name, values = os.fspath(name), dict(values or {})
    if name in REGISTERED or (name == FOREIGN and checkpoint is not None):
        return _registered(name, None if checkpoint is None else os.fspath(checkpoint), values, network)
    if not os.path.exists(name):
        raise ModelError(f"model: '{name}' is neither a registered model ({', '.join(REGISTERED)}) nor a file")
    if checkpoint is not None:
        raise ModelError(f"checkpoint: '{name}' is a file itself; give one or the other")
    return _of_file(name, None, values, network)


def _registered(name: str, checkpoint: str | None, values: dict, network: str | None):
    if name == ecg.NAME:
        return _ecg(network, checkpoint, values)
    if checkpoint is None:
        raise ModelError(f"{name}: its weights are not here; --checkpoint FILE names them (model_1000.pt)")
    return _of_file(checkpoint, name, values, network)


def _ecg(network: str | None, path: str | None, values: dict, tree=None) -> EcgModel:
    if network is not None:
        raise InputError(f"network: {network!r}; {ecg.NAME} has one network, StyleGAN2 models have two")
    return EcgModel(open_source(path, values, tree))


def _of_file(path: str, name: str | None, values: dict, network: str | None):
    """The model in a file or folder: of any kind without ``name``, else an image model of that name."""
    if path.lower().endswith(".onnx") and not os.path.isdir(path):
        return _exported(path, name, values, network)
    from ..export import lucid, torch_file

    place = lucid.find_checkpoint(path)
    card = place[0] + ".card.json"
    said = {**ecg.read_card(card), **values} if os.path.isfile(card) else values
    source = Checkpoint(name or FOREIGN, place, said, network)
    if not source.facts_are_cached():
        tree = torch_file.load(place[0])
        if name is None and not lucid.looks_like(tree[0]):
            return _ecg(network, place[0], values, tree)
        source = Checkpoint(name or FOREIGN, place, said, network, tree)
    return StyleGan2Model(source)


def _exported(path: str, name: str | None, values: dict, network: str | None):
    if values:
        raise InputError(f"{path}: an exported file carries its own model card; export again to change it")
    data = _files.read_regular(path)
    model = _model_property(data)
    if name is None and model not in _IMAGES:
        return _ecg(network, path, values)
    if name not in (None, model):
        raise CheckpointError(f"{path}: it is no graph of {name}" + (f" but of {model[:60]!r}" if model else ""))
    try:
        return StyleGan2Model(ExportedGraph(path, data, network))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _model_property(data: bytes) -> str:
    """Which model an exported file says that it is; '' where it says nothing. The file is checked by its loader."""
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # protobuf raises classes of its own
        return ""
    return next((entry.value for entry in model.metadata_props if entry.key == "model"), "")
