"""The modules of an NVIDIA StyleGAN2 generator by name: their tensors, classes and attributes.

The repositories compute with the attributes in the file, not with what init_kwargs would make of them anew. So both
must agree, as far as the images depend on them.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from dsb_fast._errors import CheckpointError

from .float_arrays import shown
from .nv_pickle import Module
from .nv_settings import Asked
from .torch_file import Tensor

_MOST_MODULES = 1000  # a generator of 2048 pixels has 101
_MOST_TENSORS = 2000  # of which such a generator has 305
_DEEPEST = 5
_LONGEST_NAME = 100
_GAINS = {"relu": math.sqrt(2), "lrelu": math.sqrt(2), "swish": math.sqrt(2)}  # of activations; 1 for the rest


def collect(root: Module) -> tuple[dict[str, Module], dict[str, Tensor], list[str]]:
    """All modules and tensors below ``root`` by their names in a state dict, and what is wrong with them.

    Raises CheckpointError for a tree that is too large or too deep to be a generator.
    """
    modules: dict[str, Module] = {}
    tensors: dict[str, Tensor] = {}
    wrong: list[str] = []
    waiting = [("", root, 0)]
    while waiting:
        prefix, module, depth = waiting.pop()
        if len(modules) >= _MOST_MODULES or depth > _DEEPEST:
            raise CheckpointError("its network has more modules than a generator of 2048 pixels")
        modules[prefix.rstrip(".")] = module
        for part in ("_parameters", "_buffers"):
            if len(tensors) + len(wrong) + len(module.part(part)) > _MOST_TENSORS:
                raise CheckpointError("its network has more tensors than a generator of 2048 pixels")
            for name, value in module.part(part).items():
                _add(tensors, prefix + _one_name(name), value, wrong)
        if len(waiting) + len(module.part("_modules")) > _MOST_MODULES:
            raise CheckpointError("its network has more modules than a generator of 2048 pixels")
        for name, child in module.part("_modules").items():
            if isinstance(child, Module):
                waiting.append((f"{prefix}{_one_name(name)}.", child, depth + 1))
            elif child is not None:
                wrong.append(f"{shown(prefix + _one_name(name))} is no module")
    return modules, tensors, wrong


def _one_name(name: Any) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_NAME or "." in name:
        raise CheckpointError(f"its network has a part called {shown(name)}, which is no name")
    return name


def _add(tensors: dict[str, Tensor], name: str, value: Any, wrong: list[str]) -> None:
    if value is None:
        return
    if not isinstance(value, Tensor) or not value.is_floating:
        wrong.append(f"{shown(name)} is no tensor of floating point numbers")
    elif name in tensors:
        wrong.append(f"{shown(name)} is there twice")
    else:
        tensors[name] = value


def expected_shapes(asked: Asked, channels: dict[int, int], filters: dict[str, tuple[int, ...]]) -> dict[str, tuple]:
    """Every tensor of the network that was asked for, with its shape.

    ``channels`` are those of each block, ``filters`` the shape of "given" and of the "default" resample filter.
    """
    w_dim, colours, use_noise = asked.network["w_dim"], asked.network["img_channels"], asked.synthesis["use_noise"]
    size, architecture = asked.synthesis["kernel_size"], asked.synthesis["architecture"]
    out = {}

    def layer(name: str, inputs: int, outputs: int, k: int) -> None:
        out[f"{name}.weight"], out[f"{name}.bias"] = (outputs, inputs, k, k), (outputs,)
        out[f"{name}.affine.weight"], out[f"{name}.affine.bias"] = (inputs, w_dim), (inputs,)

    previous = 0
    for resolution in asked.resolutions:
        block, width = f"synthesis.b{resolution}", channels[resolution]
        is_last = resolution == asked.network["img_resolution"]
        out[f"{block}.resample_filter"] = filters["given"]
        if not previous:
            out[f"{block}.const"] = (width, 4, 4)
        for conv, inputs, taps in (("conv0", previous, "given"), ("conv1", width, "default")):
            if inputs:
                layer(f"{block}.{conv}", inputs, width, size)
                out[f"{block}.{conv}.resample_filter"] = filters[taps]
                if use_noise:
                    out[f"{block}.{conv}.noise_strength"] = ()
                    out[f"{block}.{conv}.noise_const"] = (resolution, resolution)
        if is_last or architecture == "skip":
            layer(f"{block}.torgb", width, colours, 1)
        if previous and architecture == "resnet":
            out[f"{block}.skip.weight"] = (width, previous, 1, 1)
            out[f"{block}.skip.resample_filter"] = filters["given"]
        previous = width
    return out | _mapping_shapes(asked)


def widths(asked: Asked) -> list[int]:
    """Features before, between and behind the layers of the mapping network."""
    inner = asked.mapping["layer_features"] or asked.network["w_dim"]
    first = asked.network["z_dim"] + embed_features(asked)
    return [first, *[inner] * (asked.mapping["num_layers"] - 1), asked.network["w_dim"]]


def embed_features(asked: Asked) -> int:
    """Features of the embedded label, 0 without labels."""
    return (asked.mapping["embed_features"] or asked.network["w_dim"]) if asked.network["c_dim"] else 0


def _mapping_shapes(asked: Asked) -> dict[str, tuple]:
    out: dict[str, tuple] = {}
    if asked.network["c_dim"]:
        embedded = embed_features(asked)
        out["mapping.embed.weight"], out["mapping.embed.bias"] = (embedded, asked.network["c_dim"]), (embedded,)
    features = widths(asked)
    for index, (inputs, outputs) in enumerate(itertools.pairwise(features)):
        out[f"mapping.fc{index}.weight"], out[f"mapping.fc{index}.bias"] = (outputs, inputs), (outputs,)
    if asked.mapping["w_avg_beta"] is not None:
        out["mapping.w_avg"] = (asked.network["w_dim"],)
    return out


def expected_attributes(asked: Asked, channels: dict[int, int]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The class of every module and the attributes that its images depend on."""
    network, mapping, synthesis = asked.network, asked.mapping, asked.synthesis
    num_ws = 2 * (len(asked.resolutions) + 1) - 2
    out = {
        "": ("Generator", {**network, "num_ws": num_ws}),
        "synthesis": ("SynthesisNetwork", {"num_ws": num_ws, "img_resolution": network["img_resolution"]}),
        "mapping": (
            "MappingNetwork",
            {"num_ws": num_ws, "num_layers": mapping["num_layers"], **{k: network[k] for k in ("z_dim", "c_dim")}},
        ),
    }
    if network["c_dim"]:
        out["mapping.embed"] = _linear(network["c_dim"], "linear", 1)
    for index, inputs in enumerate(widths(asked)[:-1]):
        out[f"mapping.fc{index}"] = _linear(inputs, mapping["activation"], mapping["lr_multiplier"])
    clamp = {"conv_clamp": synthesis["conv_clamp"]}
    act, previous = synthesis["activation"], 0
    for resolution in asked.resolutions:
        block, width = f"synthesis.b{resolution}", channels[resolution]
        is_last = resolution == network["img_resolution"]
        shape = {"architecture": synthesis["architecture"], "is_last": is_last, "resolution": resolution}
        out[block] = "SynthesisBlock", {**shape, "in_channels": previous}
        for conv, inputs, up in (("conv0", previous, 2), ("conv1", width, 1)):
            if inputs:
                layer = {"activation": act, "act_gain": _GAINS.get(act, 1), "up": up, "resolution": resolution}
                layer |= {"use_noise": synthesis["use_noise"], "padding": synthesis["kernel_size"] // 2, **clamp}
                out[f"{block}.{conv}"] = "SynthesisLayer", layer
                out[f"{block}.{conv}.affine"] = _linear(network["w_dim"], "linear", 1)
        if is_last or synthesis["architecture"] == "skip":
            out[f"{block}.torgb"] = "ToRGBLayer", {"weight_gain": 1 / math.sqrt(width), **clamp}
            out[f"{block}.torgb.affine"] = _linear(network["w_dim"], "linear", 1)
        if previous and synthesis["architecture"] == "resnet":
            skip = {"activation": "linear", "up": 2, "down": 1, "conv_clamp": None, "padding": 0, "act_gain": 1}
            out[f"{block}.skip"] = "Conv2dLayer", {**skip, "weight_gain": 1 / math.sqrt(previous)}
        previous = width
    return out


def _linear(inputs: int, activation: str, rate: float) -> tuple[str, dict[str, Any]]:
    gain = rate / math.sqrt(inputs)
    return "FullyConnectedLayer", {"activation": activation, "weight_gain": gain, "bias_gain": rate}


def contradictions(modules: dict[str, Module], expected: dict[str, tuple[str, dict[str, Any]]]) -> list[str]:
    """Modules that are too many, of another class, or whose attributes are not what init_kwargs ask for."""
    wrong = [f"{shown(name)} is no module of such a network" for name in modules if name not in expected]
    for name, (kind, attributes) in expected.items():
        module = modules.get(name)
        if module is None:
            wrong.append(f"{name} is missing")
            continue
        if module.class_name != kind:
            wrong.append(f"{name or 'the network'} is a {shown(module.class_name)}, needs a {kind}")
        for key, value in attributes.items():
            if key in module.state and not _equal(module.state[key], value):
                place = f"{name}.{key}" if name else key
                wrong.append(f"{place} is {shown(module.state[key])}, init_kwargs make it {shown(value)}")
    return wrong


def _equal(there: Any, needed: Any) -> bool:
    if isinstance(needed, (bool, str, type(None))) or not isinstance(there, (int, float)) or isinstance(there, bool):
        return type(there) is type(needed) and there == needed
    return math.isclose(there, needed, rel_tol=1e-6) if abs(there) < 1e18 else False
