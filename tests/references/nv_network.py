"""Network pickles as NVIDIA's PyTorch repositories write them, of any arguments, with random tensors.

Written from the documented layout: each module is a call of ``_reconstruct_persistent_obj`` with its class name,
program text and attributes. Torch itself writes the tensors.
"""

from __future__ import annotations

import contextlib
import io
import math
import pickle
import sys
import types

import numpy as np
import torch

DEFAULTS = {
    "ada": {"num_fp16_res": 0, "conv_clamp": None, "w_avg_beta": 0.995},
    "sg3repo": {"num_fp16_res": 4, "conv_clamp": 256, "w_avg_beta": 0.998},
}
ROOT2 = np.sqrt(2)


class Module:
    """A module of the file; ``state`` may be changed before it is written."""

    source = "raise SystemExit('the program text was executed')"

    def __init__(self, class_name, parameters=(), buffers=(), modules=(), args=(), kwargs=None, **attributes):
        self.class_name = class_name
        self.state = {
            "training": False, "_parameters": dict(parameters), "_buffers": dict(buffers),
            "_non_persistent_buffers_set": set(), "_modules": dict(modules), **attributes, "_init_args": args,
            "_init_kwargs": kwargs or {},
        }  # fmt: skip

    def __getitem__(self, name: str) -> Module:
        module = self
        for part in name.split("."):
            module = module.state["_modules"][part]
        return module


class EasyDict(dict):
    """Stands for the dict of the repositories' own."""


def _reconstruct_persistent_obj(meta):
    raise AssertionError("the file was unpickled")


class _Pickler(pickle.Pickler):
    def reducer_override(self, value):
        if isinstance(value, Module):
            meta = {"type": "class", "version": 6, "module_src": Module.source, "class_name": value.class_name}
            return _reconstruct_persistent_obj, ({**meta, "state": value.state},)
        return NotImplemented


@contextlib.contextmanager
def _named():
    """The two names as those of the repositories' modules."""
    places = {"torch_utils.persistence": _reconstruct_persistent_obj, "dnnlib.util": EasyDict}
    before = {thing: thing.__module__ for thing in places.values()}
    for name, thing in places.items():
        module = types.ModuleType(name)
        setattr(module, thing.__name__, thing)
        package = name.partition(".")[0]
        sys.modules[package], sys.modules[name], thing.__module__ = types.ModuleType(package), module, name
    try:
        yield
    finally:
        for name, thing in places.items():
            del sys.modules[name], sys.modules[name.partition(".")[0]]
            thing.__module__ = before[thing]


def dumps(tree, protocol: int = 4, numpy_1: bool = False) -> bytes:
    """The bytes of a file; ``numpy_1`` spells numpy's own module as it did before version 2."""
    buffer = io.BytesIO()
    with _named():
        _Pickler(buffer, protocol).dump(tree)
    raw = buffer.getvalue()
    if not numpy_1:
        return raw
    assert protocol < 4  # names end with a line there, so that any length will do
    return raw.replace(b"numpy._core.", b"numpy.core.")


def filter_of(taps) -> torch.Tensor:
    """The resample filter that the repositories make of a list of taps."""
    f = torch.tensor([1.0] if taps is None else taps, dtype=torch.float32)
    if f.ndim == 1 and f.numel() < 8:
        f = f.ger(f)
    return f / f.sum()


class _Maker:
    def __init__(self, family, seed):
        self.family = family
        self.generator = torch.Generator().manual_seed(seed)

    def parameter(self, *shape):
        return torch.nn.Parameter(torch.randn(shape, generator=self.generator), requires_grad=False)

    def linear(self, inputs, outputs, activation="linear", rate=1):
        extra = {"in_features": inputs, "out_features": outputs} if self.family == "sg3repo" else {}
        return Module(
            "FullyConnectedLayer", {"weight": self.parameter(outputs, inputs), "bias": self.parameter(outputs)},
            activation=activation, weight_gain=rate / np.sqrt(inputs), bias_gain=rate, args=(inputs, outputs), **extra,
        )  # fmt: skip

    def layer(self, inputs, outputs, w_dim, resolution, up, said):
        size = said["kernel_size"]
        parameters = {"weight": self.parameter(outputs, inputs, size, size), "bias": self.parameter(outputs)}
        buffers = {"resample_filter": filter_of(said["resample_filter"] if up == 2 else [1, 3, 3, 1])}
        if said["use_noise"]:
            parameters["noise_strength"] = self.parameter()
            buffers["noise_const"] = self.parameter(resolution, resolution).data
        act = said["activation"]
        return Module(
            "SynthesisLayer", parameters, buffers, {"affine": self.linear(w_dim, inputs)}, activation=act, up=up,
            act_gain=ROOT2 if act in ("relu", "lrelu", "swish") else 1, use_noise=said["use_noise"],
            conv_clamp=said["conv_clamp"], resolution=resolution, padding=size // 2,
        )  # fmt: skip

    def rgb(self, inputs, colours, w_dim, said):
        return Module(
            "ToRGBLayer", {"weight": self.parameter(colours, inputs, 1, 1), "bias": self.parameter(colours)},
            modules={"affine": self.linear(w_dim, inputs)}, conv_clamp=said["conv_clamp"],
            weight_gain=1 / np.sqrt(inputs),
        )  # fmt: skip

    def block(self, inputs, outputs, w_dim, resolution, colours, is_last, said):
        modules, parameters = {}, {}
        if inputs:
            modules["conv0"] = self.layer(inputs, outputs, w_dim, resolution, 2, said)
        else:
            parameters["const"] = self.parameter(outputs, 4, 4)
        modules["conv1"] = self.layer(outputs, outputs, w_dim, resolution, 1, said)
        if is_last or said["architecture"] == "skip":
            modules["torgb"] = self.rgb(outputs, colours, w_dim, said)
        if inputs and said["architecture"] == "resnet":
            modules["skip"] = Module(
                "Conv2dLayer", {"weight": self.parameter(outputs, inputs, 1, 1)},
                {"resample_filter": filter_of(said["resample_filter"])}, activation="linear", up=2, down=1, padding=0,
                conv_clamp=None, weight_gain=1 / np.sqrt(inputs), act_gain=1, bias=None,
            )  # fmt: skip
        return Module(
            "SynthesisBlock", parameters, {"resample_filter": filter_of(said["resample_filter"])}, modules,
            architecture=said["architecture"], is_last=is_last, resolution=resolution, in_channels=inputs,
        )  # fmt: skip


def generator(family="ada", seed=0, mapping=None, synthesis=None, **network) -> Module:
    """A generator of ``family`` with these arguments; what is left out has the repository's default."""
    make, defaults = _Maker(family, seed), DEFAULTS[family]
    network = {"z_dim": 2, "c_dim": 0, "w_dim": 2, "img_resolution": 8, "img_channels": 3} | network
    synthesis = {"channel_base": 16, "channel_max": 2} if synthesis is None else synthesis
    mapping = {"num_layers": 1} if mapping is None else mapping
    said = {"channel_base": 32768, "channel_max": 512, "kernel_size": 3, "resample_filter": [1, 3, 3, 1],
            "architecture": "skip", "use_noise": True, "activation": "lrelu", **defaults, **synthesis}  # fmt: skip
    w_dim, size = network["w_dim"], network["img_resolution"]
    inputs, blocks = 0, {}
    for resolution in (1 << k for k in range(2, size.bit_length())):
        outputs = min(said["channel_base"] // resolution, said["channel_max"])
        blocks[f"b{resolution}"] = make.block(
            inputs, outputs, w_dim, resolution, network["img_channels"], resolution == size, said
        )
        inputs = outputs
    num_ws = 2 * int(math.log2(size)) - 2
    extra = {"num_fp16_res": said["num_fp16_res"]} if family == "sg3repo" else {}
    parts = {"synthesis": Module("SynthesisNetwork", modules=blocks, num_ws=num_ws, img_resolution=size, **extra)}
    parts["mapping"] = _mapping(make, network, num_ws, {**defaults, **mapping})
    kwargs = {**network, "mapping_kwargs": EasyDict(mapping)}
    kwargs |= {"synthesis_kwargs": EasyDict(synthesis)} if family == "ada" else synthesis
    return Module("Generator", modules=parts, kwargs=kwargs, num_ws=num_ws, **network)


def _mapping(make, network, num_ws, said) -> Module:
    z_dim, c_dim, w_dim = (network[name] for name in ("z_dim", "c_dim", "w_dim"))
    embedded = (said.get("embed_features") or w_dim) if c_dim else 0
    layers = said.get("num_layers", 8)
    features = [z_dim + embedded] + [said.get("layer_features") or w_dim] * (layers - 1) + [w_dim]
    act, rate = said.get("activation", "lrelu"), said.get("lr_multiplier", 0.01)
    modules = {"embed": make.linear(c_dim, embedded)} if c_dim else {}
    for index in range(layers):
        modules[f"fc{index}"] = make.linear(features[index], features[index + 1], act, rate)
    buffers = {} if said["w_avg_beta"] is None else {"w_avg": make.parameter(w_dim).data}
    return Module(
        "MappingNetwork", buffers=buffers, modules=modules, z_dim=z_dim, c_dim=c_dim, w_dim=w_dim, num_ws=num_ws,
        num_layers=layers, w_avg_beta=said["w_avg_beta"],
    )  # fmt: skip


def state_dict(module: Module, prefix: str = "") -> dict[str, np.ndarray]:
    """The tensors below a module by their names in a state dict."""
    out = {}
    for part in ("_parameters", "_buffers"):
        out |= {prefix + name: value.detach().numpy() for name, value in module.state[part].items()}
    for name, inner in module.state["_modules"].items():
        out |= state_dict(inner, f"{prefix}{name}.")
    return out
