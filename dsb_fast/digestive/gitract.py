"""Stands in for ``deepsynthbody.digestive.gitract`` of deepsynthbody 1.0.2 and for ``deepsynth_gitract`` 0.0.1.

Change the import line, no more. docs/compatibility.md says what the originals write, and what is different here.
"""

from __future__ import annotations

import math
import operator
import os
import re
from datetime import datetime

from .._errors import CheckpointError, InputError

NAME = "digestive.gitract"
_MODEL = re.compile(r"model_(0|[1-9]\d*)\.pt")
_NEWEST = -1

# What the originals hand on to stylegan2-pytorch. The first say what the network is where no .config.json does, the
# others are for training or for the other function.
_NETWORK = ("image_size", "network_capacity", "fmap_max", "transparent", "lr_mlp", "attn_layers", "no_const")
_WITHOUT_EFFECT = (
    "data", "new", "batch_size", "gradient_accumulate_every", "num_train_steps", "learning_rate", "ttur_mult",
    "rel_disc_loss", "num_workers", "save_every", "evaluate_every", "mixed_prob", "fp16", "no_pl_reg", "cl_reg",
    "fq_layers", "fq_dict_size", "aug_prob", "aug_types", "top_k_training", "generator_top_k_gamma",
    "generator_top_k_frac", "dataset_aug_prob", "multi_gpus", "calculate_fid_every", "log",
)  # fmt: skip
_OF_INTERPOLATION = ("interpolation_num_steps", "save_frames")


def generate(
    name,
    result_dir,
    checkpoint_dir,
    num_img_per_tile,
    num_of_outputs,
    trunc_psi=0.75,
    *,
    seed=None,
    device="auto",
    **kwargs,
):
    """Write ``num_of_outputs`` times three sheets of synthetic images into the folder ``result_dir/name``.

    ``generated-<time>-<n>.jpg`` is made by the trained network, ``...-<n>-ema.jpg`` by the averaged one from the same
    latents and noise, ``...-<n>-mr.jpg`` by the averaged one with mixed styles; ``.png`` where images are transparent.
    A sheet has ``num_img_per_tile`` rows and as many columns. Files of the same name are replaced.

    ``checkpoint_dir/name`` holds ``model_N.pt``, of which the newest is used; the published one is fetched there if
    there is none. ``trunc_psi`` draws styles toward the mean style; 1 is none. ``seed``: from 0 to 2**64 - 1; left out,
    one is drawn and reported on standard error. ``device``: "auto", "cpu", "cuda", "cuda:1". ``kwargs``: what the
    originals hand on to stylegan2-pytorch.

    Image ``k`` of sheet ``n``, row by row, is sample ``n * num_img_per_tile**2 + k`` of the seed, also its noise in the
    mixing sheet. There row ``a`` has the first half of its styles from latent ``n * num_img_per_tile + a`` of stream 2,
    column ``b`` the rest from latent ``n * num_img_per_tile + b``.

    Raises InputError, ModelError, CheckpointError or DeviceError, each one line, and TypeError for an argument that
    the originals don't have.
    """
    from . import _sheets

    load_from, options = _options("generate", kwargs, _WITHOUT_EFFECT + _OF_INTERPOLATION)
    rows, psi = _whole("num_img_per_tile", num_img_per_tile, 1), _number("trunc_psi", trunc_psi)
    outputs, folder = _whole("num_of_outputs", num_of_outputs), _result_folder(result_dir, name)
    if outputs <= 0:
        return
    seed = _seed(seed)
    plain, ema = _networks(("plain", "ema"), checkpoint_dir, name, load_from, device, options)
    _sheets.write_sheets(plain, ema, os.path.join(folder, _stem()), rows, outputs, psi, seed)


def generate_interpolation(
    name,
    result_dir,
    checkpoint_dir,
    num_img_per_tile,
    num_of_outputs,
    num_of_steps_to_interpolate,
    save_frames,
    trunc_psi=0.75,
    *,
    seed=None,
    device="auto",
    **kwargs,
):
    """Write an animation of ``num_of_steps_to_interpolate`` sheets, ``result_dir/name/generated-<time>.gif``.

    With ``save_frames`` its frames too, ``generated-<time>/0.jpg``, ``1.jpg`` and so on; ``.png`` where images are
    transparent. ``num_of_outputs`` has no effect, as in the originals: each call writes one animation.

    Image ``k`` of the sheet goes from latent ``2 k`` of stream 2 toward latent ``2 k + 1`` and on, spherically, at
    evenly spaced ratios from 0 to 8: about two turns, as two latents stand at nearly a right angle. Its noise is that
    of sample ``k``. All frames are of the averaged network.

    The other parameters and the errors are those of :func:`generate`.
    """
    from .._fresh_seed import note
    from . import _sheets

    load_from, options = _options("generate_interpolation", kwargs, _WITHOUT_EFFECT)
    rows, psi = _whole("num_img_per_tile", num_img_per_tile, 1), _number("trunc_psi", trunc_psi)
    steps = _whole("num_of_steps_to_interpolate", num_of_steps_to_interpolate, 1)
    if _whole("num_of_outputs", num_of_outputs) > 1:
        note(f"note: num_of_outputs {num_of_outputs} has no effect: one animation is written")
    folder, seed = _result_folder(result_dir, name), _seed(seed)
    (ema,) = _networks(("ema",), checkpoint_dir, name, load_from, device, options)
    _sheets.write_animation(ema, os.path.join(folder, _stem()), rows, steps, bool(save_frames), psi, seed)


def download_checkpoints(checkpoint_dir, model_name):
    """Fetch the published checkpoint to ``checkpoint_dir/model_name`` unless there is one: deepsynth_gitract has this.

    Raises ModelError or CheckpointError, one line.
    """
    _checkpoint(_path("checkpoint_dir", checkpoint_dir), _path("model_name", model_name), _NEWEST)


def _options(function: str, kwargs: dict, without_effect: tuple[str, ...]) -> tuple[int, dict]:
    """The checkpoint's number and what is said of its network."""
    for name in kwargs:
        if name != "load_from" and name not in _NETWORK and name not in without_effect:
            raise TypeError(f"{function}() got an unexpected keyword argument '{name}'")
    load_from = _whole("load_from", kwargs.get("load_from", _NEWEST), _NEWEST)
    return load_from, {name: kwargs[name] for name in _NETWORK if name in kwargs}


def _whole(name: str, value, least: int | None = None) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name}: {value!r} is not a whole number") from None
    if least is not None and number < least:
        raise InputError(f"{name}: {number}; it must be {least} or more")
    return number


def _number(name: str, value) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name}: {value!r} is not a number") from None
    if not math.isfinite(number):
        raise InputError(f"{name}: {value!r}; it must be finite")
    return number


def _path(name: str, value) -> str:
    try:
        return os.fsdecode(value)
    except TypeError:
        raise InputError(f"{name}: {value!r} is neither text nor a path") from None


def _networks(networks, checkpoint_dir, name, load_from: int, device, options: dict) -> list:
    """The generators of one checkpoint. ``options`` say what its network is, unless a ``.config.json`` does."""
    from .. import _api

    checkpoint = _checkpoint(_path("checkpoint_dir", checkpoint_dir), _path("name", name), load_from)
    folder = checkpoint if os.path.isdir(checkpoint) else os.path.dirname(checkpoint)
    card = None if os.path.lexists(os.path.join(folder, ".config.json")) else {"lr_mlp": 0.1, **options}
    return [
        _api.load(NAME, device=str(device), checkpoint=checkpoint, card=card, network=network) for network in networks
    ]


def _checkpoint(checkpoint_dir: str, name: str, load_from: int) -> str:
    """A ``model_N.pt``, or the folder of some, in ``checkpoint_dir/name``, else in ``checkpoint_dir``, else fetched."""
    folder = os.path.join(checkpoint_dir, name)
    if load_from != _NEWEST:
        path = os.path.join(folder, f"model_{load_from}.pt")
        if not os.path.isfile(path):
            raise CheckpointError(f"{path}: no such file; load_from names the N of a model_N.pt, -1 is the newest")
        return path
    for place in (folder, checkpoint_dir):
        if os.path.isdir(place) and any(map(_MODEL.fullmatch, os.listdir(place))):
            return place
    from .._models.registry import find
    from .._models.weights import weights_of

    return weights_of(find(NAME), checkpoint_dir=folder)


def _result_folder(result_dir, name) -> str:
    folder = os.path.join(_path("result_dir", result_dir), _path("name", name))
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; result_dir and name must make a folder") from None
    return folder


def _stem() -> str:
    """What the originals begin file names with: the time of the call, to the second."""
    return datetime.now().strftime("generated-%m-%d-%Y_%H-%M-%S")


def _seed(seed) -> int:
    from .._fresh_seed import given_or_drawn

    return given_or_drawn(seed, "images")
