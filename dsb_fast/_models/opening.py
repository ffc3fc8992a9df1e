"""Which model a name or a file is: registered names, checkpoints told apart by what is in them, exported ONNX files."""

from __future__ import annotations

import os

from .. import _files
from .._errors import CheckpointError, InputError, ModelError
from . import REGISTERED, ecg
from .checkpoint_file import CheckpointFile, kind_of
from .ecg import EcgModel
from .ecg_source import open_registered, open_source
from .nv_card import FAMILIES
from .nv_model import NvModel
from .nv_source import NvCheckpoint, NvExported, was_read
from .stylegan2 import StyleGan2Model
from .stylegan2_card import FOREIGN, SAID
from .stylegan2_source import Checkpoint, ExportedGraph
from .weights import weights_of

_IMAGES = "stylegan2"  # loader
_FOREIGN = (FOREIGN, *FAMILIES.values())
_NV = ("nvlabs", "rosinality")  # kinds of checkpoint
_NV_OPTIONS = ("truncation_cutoff", "noise")  # that the other images have not


def open_model(name, checkpoint=None, values: dict | None = None, network: str | None = None):
    """The model that ``name``, registered or a path, stands for: one of signals, or one of the image families.

    ``checkpoint`` is another weight file, model folder or exported file for a registered name, ``values`` what a file
    does not say of itself, ``network`` "ema" or "plain" of an image model. Raises ModelError, CheckpointError or
    InputError, each one line.
    """
    name, values = os.fspath(name), dict(values or {})
    if checkpoint is not None and (name in REGISTERED or name in _FOREIGN):
        return _with_weights(name, os.fspath(checkpoint), values, network)
    if name in REGISTERED:
        return _registered(name, values, network)
    if name in _FOREIGN and not os.path.exists(name):
        raise ModelError(f"{name}: its weights are in a file of your own; --checkpoint names it")
    if not os.path.exists(name):
        home = "; ~ is for the shell, write the folder out" if name.startswith("~") else ""
        raise ModelError(f"model: '{name}' is neither a registered model ({', '.join(REGISTERED)}) nor a file{home}")
    if checkpoint is not None:
        raise ModelError(f"checkpoint: '{name}' is a file itself; give one or the other")
    return _of_file(name, None, values, network)


def _registered(name: str, values: dict, network: str | None):
    """A registered model with the weights that its card names."""
    card = REGISTERED[name]
    if card.loader != _IMAGES:
        _one_network(name, network)
        return EcgModel(open_registered(card, None, values), name)
    network = network or card.defaults.get("network")
    return _of_file(weights_of(card), name, values, network, {**card.values(), **_options(card)})


def _with_weights(name: str, checkpoint: str, values: dict, network: str | None):
    """A registered model, or one of a family, with the weights that its user names."""
    if name in _FOREIGN:
        return _of_file(checkpoint, name, values, network)
    card = REGISTERED[name]
    if card.loader != _IMAGES:
        _one_network(name, network)
        return EcgModel(open_registered(card, checkpoint, values), name)
    said = {key: value for key, value in card.values().items() if key in (*SAID, "lr_mlp")}
    return _of_file(checkpoint, name, values, network, {**said, **_options(card)})


def _options(card) -> dict:
    """Options of samples that a registered model's card has."""
    return {name: card.defaults[name] for name in ("truncation", *_NV_OPTIONS) if name in card.defaults}


def _one_network(name: str, network: str | None) -> None:
    if network is not None:
        raise InputError(f"network: {network!r}; {name} has one network, StyleGAN2 models have two")


def _of_file(path: str, name: str | None, values: dict, network: str | None, defaults: dict | None = None):
    """The model in a file or folder: of any kind without ``name``, else an image model of that name."""
    if path.lower().endswith(".onnx") and not os.path.isdir(path):
        return _exported(path, name, values, network)
    from ..export import lucid

    model, config = lucid.find_checkpoint(path)
    card = model + ".card.json"
    said = {**ecg.read_card(card), **values} if os.path.isfile(card) else values
    given = CheckpointFile(model), said, network, defaults or {}
    if name == FOREIGN:
        return StyleGan2Model(_lucid(name, config, *given))
    if name in FAMILIES.values():
        return NvModel(NvCheckpoint(name, *given))
    return _by_contents(name, values, config, *given)


def _lucid(name, config: str | None, file: CheckpointFile, said: dict, network: str | None, defaults: dict):
    """A stylegan2-pytorch checkpoint, not read yet."""
    defaults = {key: value for key, value in defaults.items() if key not in _NV_OPTIONS}
    return Checkpoint(name or FOREIGN, (file, config), said, network, defaults)


def _by_contents(name: str | None, values: dict, config: str | None, file: CheckpointFile, *rest):
    """The model in a checkpoint of any kind without ``name``, else of any kind of image network."""
    network, lucid = rest[1], _lucid(name, config, file, *rest)
    if lucid.facts_are_cached():
        return StyleGan2Model(lucid)
    if was_read(file, network):
        return NvModel(NvCheckpoint(name, file, *rest))
    kind = kind_of(file.tree[0])
    if kind in _NV:
        return NvModel(NvCheckpoint(name, file, *rest))
    if kind == "lucid":
        return StyleGan2Model(lucid)
    if kind == "pulse2pulse" and name is None:
        _one_network(ecg.NAME, network)
        return EcgModel(open_source(file.path, values, file.tree))
    from ..export.checkpoint_kinds import describe

    no_image = f"it is no network of {name}: " if name else ""
    raise CheckpointError(f"{file.path}: {no_image}{describe(file.tree[0])}")


def _exported(path: str, name: str | None, values: dict, network: str | None):
    if values:
        raise InputError(f"{path}: an exported file carries its own model card; export again to change it")
    data = _files.read_regular(path)
    model, graph = _told(data)
    if name is None and not _is_image(model):
        _one_network(ecg.NAME, network)
        return EcgModel(open_source(path))
    if name not in (None, model):
        raise CheckpointError(f"{path}: it is no graph of {name}" + (f" but of {model[:60]!r}" if model else ""))
    try:
        if graph.startswith("stylegan2"):
            return NvModel(NvExported(path, data, network))
        return StyleGan2Model(ExportedGraph(path, data, network))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _is_image(model: str) -> bool:
    return model in _FOREIGN or (model in REGISTERED and REGISTERED[model].loader == _IMAGES)


def _told(data: bytes) -> tuple[str, str]:
    """Which model and what kind of graph an exported file says that it is, '' where it says nothing.

    The file is checked by its loader.
    """
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # protobuf raises classes of its own
        return "", ""
    return next((entry.value for entry in model.metadata_props if entry.key == "model"), ""), model.graph.name
