"""One resampling with the filter [1, 3, 3, 1] in ONNX Runtime, by dsb_fast's operator, and in torch."""

from __future__ import annotations

import numpy as np
from machine import cores
from onnx import TensorProto, helper, numpy_helper

# up, down, padding [left, right, top, bottom] and gain, as upsample2d, downsample2d and filter2d have them.
KINDS = {"up 2": (2, 1, [2, 1, 2, 1], 4.0), "down 2": (1, 2, [1, 1, 1, 1], 1.0), "plain": (1, 1, [2, 1, 2, 1], 1.0)}
_TAPS = np.float32([1, 3, 3, 1]) / 8


class Layer:
    """Its numbers; ``bytes``: every input read once, every result written once."""

    def __init__(self, kind: str, batch: int, channels: int, size: int):
        self.up, self.down, self.padding, self.gain = KINDS[kind]
        self.x = np.random.default_rng(3).standard_normal((batch, channels, size, size), np.float32)
        side = size * self.up // self.down
        self.out = [batch, channels, side, side]
        self.bytes = self.x.nbytes + 4 * int(np.prod(self.out))

    def exact(self) -> np.ndarray:
        """Four planes of the first sample in float64."""
        y = np.float64(self.x[:1, :4])
        left, right, top, bottom = self.padding
        big = np.zeros((*y.shape[:2], y.shape[2] * self.up + top + bottom, y.shape[3] * self.up + left + right))
        big[:, :, top : big.shape[2] - bottom : self.up, left : big.shape[3] - right : self.up] = y
        taps = np.float64(_TAPS)
        rows = sum(taps[k] * big[:, :, k : big.shape[2] - 3 + k] for k in range(4))
        both = sum(taps[k] * rows[:, :, :, k : big.shape[3] - 3 + k] for k in range(4))
        return both[:, :, :: self.down, :: self.down] * self.gain


class Fused:
    """UpFirDn2d in a session over all cores, input and output where they are."""

    def __init__(self, layer: Layer):
        import onnxruntime

        from dsb_fast import ops

        how = {"up": [layer.up] * 2, "down": [layer.down] * 2, "padding": layer.padding, "gain": layer.gain}
        node = helper.make_node("UpFirDn2d", ["x", "taps"], ["y"], domain="dsb_fast", **how)
        tensors = [
            helper.make_tensor_value_info(k, TensorProto.FLOAT, s) for k, s in (("x", layer.x.shape), ("y", layer.out))
        ]
        graph = helper.make_graph([node], "layer", tensors[:1], tensors[1:], [numpy_helper.from_array(_TAPS, "taps")])
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("dsb_fast", 1)]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = cores(), 1
        options.register_custom_ops_library(str(ops.library_path()))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._out = onnxruntime.OrtValue.ortvalue_from_shape_and_type(layer.out, np.float32)
        self._bound = self._session.io_binding()
        self._bound.bind_cpu_input("x", layer.x)
        self._bound.bind_ortvalue_output("y", self._out)

    def run(self) -> None:
        self._session.run_with_iobinding(self._bound)

    def result(self) -> np.ndarray:
        self.run()
        return np.array(self._out.numpy())


class Torch:
    """As stylegan2-ada-pytorch does it without its own CUDA kernel: zeros put in, one grouped convolution."""

    def __init__(self, layer: Layer):
        import torch

        torch.set_num_threads(cores())
        self._torch, self._layer = torch, layer
        self._x = torch.from_numpy(layer.x)
        self._taps = torch.from_numpy(np.outer(_TAPS, _TAPS) * np.float32(layer.gain))
        self._taps = self._taps.expand(layer.x.shape[1], 1, 4, 4).contiguous()

    def run(self):
        functional, layer = self._torch.nn.functional, self._layer
        n, channels, height, width = layer.x.shape
        with self._torch.inference_mode():
            y = self._x
            if layer.up > 1:
                y = y.reshape(n, channels, height, 1, width, 1)
                y = functional.pad(y, [0, 1, 0, 0, 0, 1]).reshape(n, channels, 2 * height, 2 * width)
            y = functional.pad(y, layer.padding)
            return functional.conv2d(y, self._taps, groups=channels, stride=layer.down)

    def result(self) -> np.ndarray:
        return self.run().numpy()
