"""One modulated layer of the GI-tract network in ONNX Runtime and OpenVINO: dsb_fast's operator, and standard ones.

Both graphs take ``x`` [N, in, size, size], ``factors`` [N, in] and ``noise`` [N, 1, size, size] and give ``y``; weight,
noise gain and bias are constants.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnx
from machine import cores
from onnx import TensorProto, helper, numpy_helper

_OPSET, _IR_VERSION, _SLOPE = 17, 9, 0.2
BATCHES = (1, 8, 32)


def _correlated(x: np.ndarray, weight: np.ndarray, out: list[int]) -> np.ndarray:
    """3 x 3 taps, one by one."""
    rows, columns = out[1:]
    return sum(
        np.einsum("nihw,oi->nohw", x[:, :, r : r + rows, c : c + columns], weight[:, :, r, c], optimize=True)
        for r in range(3)
        for c in range(3)
    )


class Layer:
    """Numbers of a layer: ``batch`` samples and the constants."""

    up = 1

    def __init__(self, inputs: int, outputs: int, size: int, batch: int = max(BATCHES)):
        random = np.random.default_rng(7)

        def draw(*shape):
            return random.standard_normal(shape, np.float32)

        self.shapes = {"x": [inputs, size, size], "factors": [inputs], "noise": [1, size * self.up, size * self.up]}
        self.feed = {name: draw(batch, *shape) for name, shape in self.shapes.items()}
        self.feed["factors"] = 1 + np.float32(0.5) * self.feed["factors"]
        self.out = [outputs, size * self.up, size * self.up]
        self.constants = {"weight": draw(outputs, inputs, 3, 3), "gain": draw(outputs), "bias": draw(outputs)}

    def exact(self, count: int) -> np.ndarray:
        """The result for the first ``count`` samples in float64."""
        x, factors, noise = (np.float64(self.feed[name][:count]) for name in ("x", "factors", "noise"))
        weight, gain, bias = (np.float64(value) for value in self.constants.values())
        y = self._sums(x * factors[:, :, None, None], weight)
        y /= np.sqrt(factors**2 @ (weight**2).sum((2, 3)).T + 1e-8)[:, :, None, None]
        y += noise * gain[:, None, None] + bias[:, None, None]
        return np.where(y < 0, _SLOPE * y, y)

    def _sums(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Of the scaled images, tap by tap."""
        return _correlated(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), weight, self.out)

    def _model(self, nodes: list, constants: dict, domains: list) -> bytes:
        def described(shapes):
            return [helper.make_tensor_value_info(k, TensorProto.FLOAT, ["N", *s]) for k, s in shapes.items()]

        held = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()]
        graph = helper.make_graph(nodes, "layer", described(self.shapes), described({"y": self.out}), held)
        opsets = [helper.make_opsetid(*domain) for domain in domains]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION).SerializeToString()

    def fused(self, products: str = "float32") -> bytes:
        """The operator ModulatedConv2d."""
        inputs = ["x", "weight", "factors", "noise", "bias", "", "gain"]
        how = {"padding": [1] * 4, "act": "lrelu", "alpha": _SLOPE, "gain": 1.0, "products": products}
        how |= self._fused_attributes
        constants = {**self.constants, **self._fused_constants}
        inputs[5] = "".join(self._fused_constants)
        node = helper.make_node("ModulatedConv2d", inputs, ["y"], domain="dsb_fast", **how)
        return self._model([node], constants, [("", _OPSET), ("dsb_fast", 1)])

    _fused_attributes: ClassVar = {}
    _fused_constants: ClassVar = {}

    def _convolution(self, node, constants: dict, form: str) -> str:
        """Nodes from ``scaled`` to the sums, whose name is returned."""
        return node("Conv", ["scaled", "weight"], "sums", pads=[1] * 4)

    forms = ("",)  # of the portable graph

    def portable(self, form: str = "") -> bytes:
        """Standard operators, as in the portable graph of the whole network."""
        weight = self.constants["weight"]
        constants = {
            "weight": weight,
            "gain": self.constants["gain"].reshape(-1, 1, 1, 1),
            "bias": self.constants["bias"],
            "energies": np.float32((np.float64(weight) ** 2).sum((2, 3)).T),
            "least": np.array(1e-8, np.float32),
            "planes": np.array([0, -1, 1, 1], np.int64),
        }
        nodes = []

        def node(kind, inputs, output, **attributes):
            nodes.append(helper.make_node(kind, inputs, [output], **attributes))
            return output

        node("Mul", ["x", node("Reshape", ["factors", "planes"], "styles")], "scaled")
        sums = self._convolution(node, constants, form)
        squares = node("Mul", ["factors", "factors"], "squares")
        norm = node("Sqrt", [node("Gemm", [squares, "energies", "least"], "energy")], "norm")
        inverse = node("Reshape", [node("Reciprocal", [norm], "reciprocal"), "planes"], "inverse")
        demodulated = node("Mul", [sums, inverse], "demodulated")
        added = node("Add", [demodulated, node("Conv", ["noise", "gain", "bias"], "added")], "sum")
        node("LeakyRelu", [added], "y", alpha=_SLOPE)
        model = self._model(nodes, constants, [("", _OPSET)])
        onnx.checker.check_model(onnx.load_model_from_string(model))
        return model


class UpLayer(Layer):
    """The same to twice the size, as NVIDIA's and rosinality's networks do it.

    Zeros between the samples, the taps, then the filter [1, 3, 3, 1] along both axes.
    """

    up = 2
    forms = ("transposed", "transposed, filter by axes", "four phases")
    _taps = np.float32([1, 3, 3, 1]) / 8
    _fused_attributes: ClassVar = {"up": 2, "flip_weight": 0}
    _fused_constants: ClassVar = {"filter": _taps}

    def _sums(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The definition: filter first, on zeros and two around them, then the turned taps."""
        n, channels, height, width = x.shape
        big = np.zeros((n, channels, 2 * height + 5, 2 * width + 5))
        big[:, :, 3 : 3 + 2 * height : 2, 3 : 3 + 2 * width : 2] = x
        taps = 2 * np.float64(self._taps)
        big = sum(taps[k] * big[:, :, k : k + 2 * height + 2] for k in range(4))
        big = sum(taps[k] * big[:, :, :, k : k + 2 * width + 2] for k in range(4))
        return _correlated(big, weight[:, :, ::-1, ::-1], self.out)

    def _convolution(self, node, constants: dict, form: str) -> str:
        weight, taps = constants.pop("weight"), 2 * self._taps
        outputs = len(weight)
        if form == "four phases":  # composed with the filter: 6 x 6 taps, of which an output meets 3 x 3
            whole = np.zeros((*weight.shape[:2], 6, 6))
            for r in range(4):
                for c in range(4):
                    turned = np.float64(weight)[:, :, ::-1, ::-1]
                    whole[:, :, r : r + 3, c : c + 3] += np.float64(taps[r]) * taps[c] * turned
            phases = [whole[:, :, 1 - r :: 2, 1 - c :: 2] for r in range(2) for c in range(2)]
            constants["phases"] = np.float32(np.concatenate(phases))
            low = node("Conv", ["scaled", "phases"], "low", pads=[1] * 4)
            return node("DepthToSpace", [low], "sums", blocksize=2, mode="DCR")
        constants["turned"] = weight.transpose(1, 0, 2, 3)
        rows = node("ConvTranspose", ["scaled", "turned"], "transposed", strides=[2, 2])
        if form == "transposed":
            constants["filter"] = np.tile(np.outer(taps, taps), (outputs, 1, 1, 1))
            return node("Conv", [rows, "filter"], "sums", pads=[1] * 4, group=outputs)
        constants["across"] = np.tile(taps[None, :], (outputs, 1, 1, 1))
        constants["down"] = np.tile(taps[:, None], (outputs, 1, 1, 1))
        rows = node("Conv", [rows, "across"], "filtered", pads=[0, 1, 0, 1], group=outputs)
        return node("Conv", [rows, "down"], "sums", pads=[1, 0, 1, 0], group=outputs)


def _parts(layer: Layer, batch: int) -> list[dict[str, np.ndarray]]:
    """The layer's samples, batch by batch."""
    return [{k: v[b : b + batch] for k, v in layer.feed.items()} for b in range(0, len(layer.feed["x"]), batch)]


class OnnxRuntime:
    """A session over all cores."""

    def __init__(self, layer: Layer, graph: bytes, batch: int, library: str | None = None, form: str = ""):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = cores(), 1
        if library:
            options.register_custom_ops_library(library)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._out = onnxruntime.OrtValue.ortvalue_from_shape_and_type([batch, *layer.out], np.float32)
        self._bound = [self._binding(part) for part in _parts(layer, batch)]
        self._batch, self.setting = batch, f"batch {batch}" + (form and f", {form}")

    def _binding(self, part: dict[str, np.ndarray]):
        """The inputs where they are, the output where it was before: a run copies and allocates nothing."""
        bound = self._session.io_binding()
        for name, value in part.items():
            bound.bind_cpu_input(name, value)
        bound.bind_ortvalue_output("y", self._out)
        return bound

    def result(self) -> np.ndarray:
        """The first batch's."""
        self._session.run_with_iobinding(self._bound[0])
        return np.array(self._out.numpy())

    def run(self, count: int) -> None:
        for k in range(count // self._batch):
            self._session.run_with_iobinding(self._bound[k % len(self._bound)])


class OpenVino:
    """A static batch; requests one by one over all cores, or as many at a time as the throughput hint asks for."""

    def __init__(self, layer: Layer, graph: bytes, batch: int, hint: str, form: str = "", precision: str = "f32"):
        import openvino

        core = openvino.Core()
        model = core.read_model(graph)
        model.reshape({name: [batch, *shape] for name, shape in layer.shapes.items()})
        settings = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": precision}
        self._model = core.compile_model(model, "CPU", settings)
        self._queue = openvino.AsyncInferQueue(self._model) if hint == "THROUGHPUT" else None
        self._request = self._model.create_infer_request()
        self._parts, self._batch = _parts(layer, batch), batch
        self.setting = f"{hint}, batch {batch}" + (form and f", {form}")

    def result(self) -> np.ndarray:
        """The first batch's."""
        return np.array(self._request.infer(self._parts[0])[0])

    def run(self, count: int) -> None:
        for k in range(count // self._batch):
            part = self._parts[k % len(self._parts)]
            if self._queue:
                self._queue.start_async(part, share_inputs=True)
            else:
                self._request.infer(part, share_inputs=True, share_outputs=True)
        if self._queue:
            self._queue.wait_all()
