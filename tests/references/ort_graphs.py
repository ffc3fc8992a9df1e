"""Graphs of one operator of domain dsb_fast, and sessions that run them.

Run as a program, it prints a digest of each operator's answers and of images of the GI-tract generator, and counts the
broken graphs that are refused: .ci/ort compares what two ONNX Runtimes say.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from dsb_fast import ops, random

_OUTPUTS = {"Microvolt": TensorProto.INT16, "Uint8Image": TensorProto.UINT8}  # the others make float32


def model(nodes, inputs: dict, constant=(), *, sizes=None, output=TensorProto.FLOAT) -> bytes:
    """A model whose last node makes ``y``, of a size that is not declared.

    ``inputs``: arrays by name, None for one that is left out. Those named in ``constant`` are stored in the model, the
    others are its inputs, of unknown size unless ``sizes`` has theirs.
    """
    given = {name: np.asarray(value) for name, value in inputs.items() if value is not None}
    types = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in given.items()}
    shapes = {name: [None] * value.ndim for name, value in given.items()} | (sizes or {})
    graph = helper.make_graph(
        nodes,
        "operators",
        [helper.make_tensor_value_info(name, types[name], shapes[name]) for name in given if name not in constant],
        [helper.make_tensor_value_info("y", output, None)],
        [numpy_helper.from_array(np.ascontiguousarray(given[name]), name) for name in given if name in constant],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("dsb_fast", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def node(op: str, inputs, output: str = "y", **attributes):
    """A node of domain dsb_fast; attributes that are None are left out."""
    given = {name: value for name, value in attributes.items() if value is not None}
    return helper.make_node(op, list(inputs), [output], domain="dsb_fast", **given)


def one_node(op: str, inputs: dict, constant=(), sizes=None, **attributes) -> bytes:
    """A model of one node; inputs that are None have an empty name."""
    names = [name if value is not None else "" for name, value in inputs.items()]
    output = _OUTPUTS.get(op, TensorProto.FLOAT)
    return model([node(op, names, **attributes)], inputs, constant, sizes=sizes, output=output)


def session(graph: bytes, threads: int = 1, **entries) -> onnxruntime.InferenceSession:
    """A session with the operator library, quiet; ``entries`` go into its configuration."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    for key, value in entries.items():
        options.add_session_config_entry(f"session.{key}", value)
    options.register_custom_ops_library(ops.library_path())
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def feeds(inputs: dict, constant=()) -> dict:
    """What is left of ``inputs`` to be fed."""
    return {name: np.asarray(v) for name, v in inputs.items() if v is not None and name not in constant}


def run(op: str, inputs: dict, constant=(), threads: int = 1, **attributes) -> np.ndarray:
    """What the operator makes of ``inputs``."""
    return session(one_node(op, inputs, constant, **attributes), threads).run(None, feeds(inputs, constant))[0]


def array(index: int, *shape) -> np.ndarray:
    """Normal values that no library's version changes."""
    return random.normal(7, index, 1, shape)[0]


def _cases():
    x, f = array(0, 3, 5, 17, 33), ops.setup_filter([1, 3, 3, 1])
    yield "UpFirDn2d", {"x": x, "taps": f}, (), {"up": [2, 2], "padding": [2, 1, 2, 1], "gain": 4.0}
    yield "UpFirDn2d", {"x": x, "taps": array(1, 9)}, ("taps",), {"down": [2, 3], "padding": [4, -1, 4, 4]}
    for act in ("linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish", "gelu"):
        yield "BiasAct", {"x": x, "b": array(2, 5)}, (), {"act": act, "clamp": 1.5}
        yield "BiasAct", {"x": x, "b": None}, (), {"act": act}
    for up, down in ((1, 1), (2, 1), (1, 2)):
        size = (17 * up // down, 33 * up // down)
        inputs = {"x": x, "weight": array(3, 7, 5, 3, 3), "styles": array(4, 3, 5)}
        inputs |= {"noise": array(5, 3, 1, *size), "bias": array(6, 7), "filter": f}
        how = {"up": up, "down": down, "padding": [1, 1, 1, 1], "act": "lrelu"}
        yield "ModulatedConv2d", inputs, ("weight", "filter"), how
        yield "ModulatedConv2d", inputs | _more_inputs(7, size), ("weight", "filter"), how | {"style_offset": 1.0}
        bare = inputs | {"noise": None, "bias": None}
        yield "ModulatedConv2d", bare, ("weight", "filter"), how | {"demodulate": 0, "flip_weight": 0}
    counts = {"seed": np.uint64(2**64 - 5), "start": np.int64(2**40), "count": np.int64(9)}
    yield "PhiloxUniform", counts, (), {"shape": [8, 1001], "stream": 1, "low": -1.0}
    yield "PhiloxNormal", counts, ("seed", "start", "count"), {"shape": [40001], "stream": 2}
    yield "Microvolt", {"signal": x}, (), {"scale": 6000.0}
    yield from _layer_cases(x)


def _more_inputs(channels: int, size) -> dict:
    return {"noise_gain": array(7, channels), "residual": array(8, 3, channels, *size)}


def _layer_cases(x):
    """The layers of the GI-tract network; ``x``: [3, 5, 17, 33]."""
    for op in ("UpsampleBilinear2d", "Blur2d"):
        yield op, {"x": x}, (), {}
    yield "ChannelNorm", {"x": x, "g": array(1, 5), "b": array(2, 5)}, ("g", "b"), {"eps": 1e-3}
    norm = {"x": x, "g": array(1, 5), "b": array(2, 5)}
    yield "ChannelNorm", norm, (), {"eps": 1e-3, "eps_to": "deviation"}
    yield "InstanceNorm", norm, ("g", "b"), {}
    yield "DepthwiseConv2d", {"x": x, "weight": array(3, 5, 1, 3, 3)}, ("weight",), {"padding": 1}
    conv = {"x": x, "weight": array(4, 7, 5), "bias": array(5, 7), "residual": array(6, 3, 7, 17, 33)}
    yield "Conv1x1", conv, ("weight", "bias"), {"act": "gelu", "gain": 0.5}
    yield "Conv1x1", conv | {"bias": None, "residual": None}, ("weight",), {}
    weights = {name: array(k, 64, 5) for k, name in enumerate(("to_q", "to_k", "to_v"), 14)}
    weights |= {"to_out": array(17, 7, 64), "q_bias": array(18, 64), "v_bias": array(19, 64), "out_bias": array(20, 7)}
    inputs = {"x": x, "source": x[:, ::-1], **weights, "residual": array(6, 3, 7, 17, 33)}
    for act in ("linear", "gelu"):
        yield "Attention", inputs, tuple(weights), {"heads": 4, "q_scale": 0.5, "out_scale": 0.25, "act": act}
    weights = {"w1": array(21, 20, 5), "w2": array(22, 7, 20), "b1": array(23, 20), "b2": None}
    yield "FeedForward", {"x": x, **weights, "residual": array(6, 3, 7, 17, 33)}, ("w1", "w2", "b1"), {"gain": 0.5}
    attention = {name: array(k, 3, 64, 9, 70) for k, name in enumerate("qkv")}
    yield "LinearAttention", attention, (), {"heads": 4, "q_scale": 0.5, "out_scale": 0.25}
    dense = {"x": array(7, 3, 6, 65), "weight": array(8, 130, 65), "bias": array(9, 130)}
    for row in (None, 4):
        how = {"row": row, "act": "lrelu", "weight_gain": 0.1, "shape": [13, 10]}
        yield "Dense", dense, ("weight", "bias"), how
    for kind in ("l2", "rms"):
        yield "NormalizeLatent", {"z": array(10, 3, 65)}, (), {"kind": kind}
    yield "Truncate", {"w": array(11, 3, 65), "mean": array(12, 65), "psi": np.float32(0.75)}, ("mean",), {}
    yield "NoisePlane", {"noise": array(13, 3, 70, 65)}, (), {"size": 64}
    yield "Uint8Image", {"image": x}, (), {"scale": 255.0, "offset": 0.5}
    yield from _block_cases()


def _block_cases():
    """Two layers, and three of which the last makes colours; inputs are left out at the end and in between."""
    inputs = {"x": array(0, 3, 5, 6, 10), "weight1": array(1, 18, 5, 3, 3), "weight2": array(2, 7, 18, 3, 3)}
    inputs |= {"styles1": array(3, 3, 5), "styles2": array(4, 3, 18), "noise": array(5, 3, 1, 12, 20)}
    how = {"upsample": "bilinear", "act": "lrelu", "style_offset": 1.0}
    yield "StyleBlock", inputs, ("weight1", "weight2"), how
    inputs |= {"bias1": array(6, 18), "noise_gain1": None, "bias2": None, "noise_gain2": array(7, 7)}
    inputs |= {"colour_weight": array(8, 3, 7, 1, 1), "colour_styles": array(9, 3, 7)}
    yield "StyleBlock", inputs, ("weight1", "weight2", "colour_weight"), how


GENERATORS = ("attn64", "rgba_noconst32", "v190_attn32")  # files with the tensors of a generator


def _image_digest(file: Path) -> str:
    """Of the image that the fused generator makes of the styles in a golden file."""
    from dsb_fast.export import lucid_graph

    with np.load(file, allow_pickle=False) as stored:
        golden = dict(stored)
    graph = lucid_graph.build_fused_synthesis({k[2:]: golden[k] for k in golden if k.startswith("G.")})
    inputs = {"w": golden["styles_S"], "noise": golden["noise"][..., 0]}
    return hashlib.sha256(session(graph.SerializeToString()).run(None, inputs)[0]).hexdigest()


def main() -> None:
    """Digests on standard output."""
    from ort_broken import BROKEN, refusal

    digests = {}
    for op, inputs, constant, attributes in _cases():
        one, two = (run(op, inputs, constant, threads, **attributes) for threads in (1, 2))
        assert one.tobytes() == two.tobytes(), op
        digests.setdefault(op, hashlib.sha256()).update(one)
    for op, digest in sorted(digests.items()):
        print(op, digest.hexdigest())
    for name in GENERATORS:
        print(name, _image_digest(Path(__file__).parents[1] / f"data/lucid/{name}.npz"))
    for name, case in BROKEN.items():
        assert refusal(*case), f"{name} is not refused"
    print("broken graphs refused:", len(BROKEN))


if __name__ == "__main__":
    main()
