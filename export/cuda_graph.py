"""What graphs of flavour "cuda" are built with: docs/providers.md.

Images are [N, H, W, C] and signals [N, 1, L, C] from end to end. Convolutions are ONNX Runtime's own NhwcConv, that is
cuDNN's; everything around one, from the demodulation of its sums to the style of the next, is one operator of domain
``dsb_fast``. Standard operators do what is small.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from .ecg_graph import DOMAIN, IR_VERSION, OPSET
from .lucid_builder import Graph

CONTRIB = "com.microsoft"  # ONNX Runtime's own operators
_TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float16): TensorProto.FLOAT16}


class CudaGraph(Graph):
    """Nodes of standard operators, of ``dsb_fast`` by :meth:`ours`. ``kind``: of activations and large weights."""

    def __init__(self, precision: str = "fp32", attention: str | None = None):
        super().__init__(DOMAIN, attention)
        self.kind = np.dtype(np.float16 if precision == "fp16" else np.float32)
        self._halves: set[str] = set()  # names of float16 tensors

    @property
    def half(self) -> bool:
        return self.kind == np.float16

    def constant(self, name: str, values, kind=np.float32) -> str:
        if np.dtype(kind) == np.float16:
            self._halves.add(name)
        return super().constant(name, values, kind)

    def node(self, op: str, inputs: list[str], output: str, domain: str | None = "", **attributes) -> str:
        if inputs[0] in self._halves:
            self._halves.add(output)
        return super().node(op, inputs, output, domain or "", **attributes)

    def ours(self, op: str, inputs: list[str], outputs: list[str], **attributes) -> list[str]:
        """Adds a node of domain ``dsb_fast``. Inputs that are '' and attributes that are None are left out."""
        inputs = list(inputs)
        while not inputs[-1]:
            inputs.pop()
        if inputs[0] in self._halves:
            self._halves.update(outputs)
        given = {name: value for name, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[-1], domain=DOMAIN, **given))
        return outputs

    def cast(self, x: str, output: str, kind=None) -> str:
        """``x``, float32 or float16, as the graph's kind or as ``kind``: itself where it is that already."""
        kind = np.dtype(kind or self.kind)
        if (x in self._halves) == (kind == np.float16):
            return x
        self.node("Cast", [x], output, to=_TYPES[kind])
        (self._halves.add if kind == np.float16 else self._halves.discard)(output)
        return output

    def shape(self, *sizes: int) -> str:
        """A constant shape, for Reshape: 0 keeps a size, -1 is what is left."""
        return self.constant("shape." + ".".join(map(str, sizes)), sizes, np.int64)

    def conv(self, x: str, name: str, weight: np.ndarray, **attributes) -> str:
        """A convolution without bias of ``x`` [N, H, W, in] with ``weight`` [out, in, h, w].

        The kernel has its weights as [out, h, w, in], but shape inference takes them for [out, in, h, w]: it is told.
        """
        taps = self.constant(f"{name}.weight", weight.transpose(0, 2, 3, 1), self.kind)
        attributes["kernel_shape"] = list(weight.shape[2:])
        return self.node("NhwcConv", [x, taps], f"{name}.sums", domain=CONTRIB, **attributes)

    def epilogue(
        self, x: str, name: str, act: str = "linear", *, demodulation: str = "", plane: str = "",
        plane_weight: str = "", bias: str = "", residual: str = "", scale: str = "", keep: bool = True,
        gain: float = 1.0, **attributes,
    ) -> str | tuple[str, str]:  # fmt: skip
        """clamp(gain * act(x * demodulation + plane * plane_weight + bias)) + residual, and that times ``scale``.

        The first alone without ``scale``, the second alone where the first is not to be kept.
        """
        inputs = [x, demodulation, plane, plane_weight, bias, residual, scale]
        outputs = ([name] if keep else []) + ([f"{name}.scaled"] if scale else [])
        if scale and not keep:
            attributes["only_scaled"] = 1
        self.ours("Epilogue", inputs, outputs, act=act, gain=gain, **attributes)
        return outputs[0] if len(outputs) == 1 else (outputs[0], outputs[1])

    def scale(self, x: str, scale: str, output: str) -> str:
        """``x`` [N or 1, H, W, C] with every channel of a sample multiplied by its factor."""
        return self.ours("ScaleChannels", [x, scale], [output])[0]


def cuda_model(graph: CudaGraph, name: str, inputs: dict, outputs: dict, kinds: dict | None = None) -> onnx.ModelProto:
    """The checked model; inputs and outputs are float32 where ``kinds`` names no other type."""
    kinds = kinds or {}
    ends = [
        [helper.make_tensor_value_info(key, kinds.get(key, TensorProto.FLOAT), shape) for key, shape in values.items()]
        for values in (inputs, outputs)
    ]
    made = helper.make_graph(graph.nodes, name, *ends, list(graph.constants.values()))
    opsets = [helper.make_opsetid(domain, version) for domain, version in (("", OPSET), (DOMAIN, 1), (CONTRIB, 1))]
    built = helper.make_model(made, producer_name="dsb_fast", opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(built)
    return built
