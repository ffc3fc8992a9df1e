"""An attention of the GI-tract network (stylegan2-pytorch 1.5.10) with its feed-forward, as a layer that
layer_peers.OnnxRuntime and layer_peers.OpenVino run: ``x`` [N, C, size, size] to ``y`` of the same shape."""

from __future__ import annotations

import numpy as np
import onnx
from dsb_fast.export import lucid_attention, lucid_builder, lucid_graph
from layer_peers import BATCHES

_NAME, _WIDTH = "attns.0", lucid_builder.HEADS * lucid_builder.FEATURES


class AttentionBlock:
    """Numbers of a block: ``batch`` samples and the constants."""

    def __init__(self, channels: int, size: int, batch: int = max(BATCHES)):
        self._random, self._channels, self._size = np.random.default_rng(7), channels, size
        self.shapes, self.out = {"x": [channels, size, size]}, [channels, size, size]
        self.feed = {"x": self._random.standard_normal((batch, channels, size, size), np.float32)}
        self._tensors: dict[str, np.ndarray] = {}
        for name in "qkv":
            self._layer(f"0.fn.fn.to_{name}", _WIDTH, channels, 1.5)
        for name, outputs, inputs in (
            ("0.fn.fn.to_out", channels, _WIDTH),
            ("1.fn.fn.0", 2 * channels, channels),
            ("1.fn.fn.2", channels, 2 * channels),
        ):
            self._layer(name, outputs, inputs)
        for part in "01":
            self._tensors[f"{_NAME}.{part}.fn.g"] = np.array([0.7], np.float32)

    def _layer(self, name: str, outputs: int, inputs: int, gain: float = 1.0) -> None:
        weight = self._random.standard_normal((outputs, inputs, 1, 1), np.float32)
        self._tensors[f"{_NAME}.{name}.weight"] = weight * np.float32(gain / inputs**0.5)
        self._tensors[f"{_NAME}.{name}.bias"] = self._random.standard_normal(outputs, np.float32) * np.float32(0.1)

    def exact(self, count: int) -> np.ndarray:
        """The result for the first ``count`` samples in float64: every q, k and v."""
        x = np.float64(self.feed["x"][:count]).reshape(count, self._channels, -1)
        gains = [np.float64(self._tensors[f"{_NAME}.{part}.fn.g"][0]) for part in "01"]
        q, k, v = (self._mapped(f"0.fn.fn.to_{name}", x).reshape(count, lucid_builder.HEADS, -1, x.shape[2])
                   for name in "qkv")  # fmt: skip
        scale = lucid_builder.FEATURES**-0.25
        context = _softmax(k * scale, 3) @ v.swapaxes(2, 3)
        attended = (context.swapaxes(2, 3) @ _softmax(q * scale, 2)).reshape(count, _WIDTH, -1)
        x = x + gains[0] * self._mapped("0.fn.fn.to_out", attended)
        hidden = self._mapped("1.fn.fn.0", x)
        hidden = np.where(hidden < 0, lucid_builder.SLOPE * hidden, hidden)
        return (x + gains[1] * self._mapped("1.fn.fn.2", hidden)).reshape(count, *self.out)

    def _mapped(self, name: str, x: np.ndarray) -> np.ndarray:
        weight, bias = (np.float64(self._tensors[f"{_NAME}.{name}.{kind}"]) for kind in ("weight", "bias"))
        return weight[:, :, 0, 0] @ x + bias[:, None]

    def _model(self, domain: str, add) -> bytes:
        """``add`` puts the block's nodes into a graph of that domain."""
        graph = lucid_builder.Graph(domain)
        add(graph)
        graph.nodes[-1].output[0] = "y"
        built = lucid_builder.model(graph, "block", {"x": ["N", *self.out]}, {"y": ["N", *self.out]})
        onnx.checker.check_model(built)
        return built.SerializeToString()

    def fused(self, products: str = "float32") -> bytes:
        """The operators Attention and FeedForward."""

        def add(graph: lucid_builder.Graph) -> None:
            lucid_graph.attention(lucid_graph.FusedPart(graph, self._tensors).part(_NAME), "x")
            for node in graph.nodes:
                node.attribute.append(onnx.helper.make_attribute("products", products))

        return self._model(lucid_graph.DOMAIN, add)

    forms = ("",)  # of the portable graph

    def portable(self, _form: str = "") -> bytes:
        """Standard operators, as in the portable graph of the whole network: v is not made."""
        return self._model(
            "",
            lambda graph: lucid_attention.attention(
                lucid_builder.StandardPart(graph, self._tensors).part(_NAME), "x", self._size
            ),
        )

    def published(self) -> bytes:
        """Standard operators, step by step as the package has them: q, k and v at every position."""
        return self._model("", self._published)

    def _published(self, graph: lucid_builder.Graph) -> None:
        first, second = (lucid_builder.StandardPart(graph, self._tensors, f"{_NAME}.{part}.fn.") for part in "01")
        shape = first.integers(0, lucid_builder.HEADS, lucid_builder.FEATURES, self._size**2)
        scale = graph.constant("scale", lucid_builder.FEATURES**-0.25)
        heads = {}
        for name in "qkv":
            heads[name] = first.node("Reshape", [first.conv("x", f"fn.to_{name}"), shape], name)
        for name, axis in (("q", 2), ("k", 3)):
            scaled = first.node("Mul", [heads[name], scale], f"{name}.scaled")
            heads[name] = first.node("Softmax", [scaled], f"{name}.weights", axis=axis)
        turned = first.node("Transpose", [heads["k"]], "k.turned", perm=[0, 1, 3, 2])
        context = first.node("MatMul", [heads["v"], turned], "context")
        y = first.node("MatMul", [context, heads["q"]], "attended")
        y = first.node("Reshape", [y, first.integers(0, _WIDTH, self._size, self._size)], "map")
        y = first.node("Add", ["x", first.conv(y, "fn.to_out", gain=first.gain())], "out")
        hidden = second.node("LeakyRelu", [second.conv(y, "fn.0")], "hidden", alpha=lucid_builder.SLOPE)
        second.node("Add", [y, second.conv(hidden, "fn.2", gain=second.gain())], "out")


def _softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)
