"""One batch's tensors on a device, bound to a session once: a CUDA graph reads and writes where it was captured."""

from __future__ import annotations

import numpy as np

_KINDS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}


def sample_shape(port) -> tuple[int, ...] | None:
    """Dimensions of one sample of a session's input or output; None of what all samples share."""
    return tuple(port.shape[1:]) if port.shape and isinstance(port.shape[0], str) else None


class DeviceBatch:
    """Inputs and outputs for ``rows`` samples in the memory ``device`` ("cuda") number ``number``.

    ``graph`` is the number under which ONNX Runtime keeps the CUDA graph of these addresses, None if it keeps none.
    """

    def __init__(self, ort, session, rows: int, device: str, number: int, graph: int | None):
        def values(ports):
            return {port.name: self._value(ort, port, device, number) for port in ports}

        self._session, self.rows = session, rows
        self.inputs, self.outputs = values(session.get_inputs()), values(session.get_outputs())
        self._of_samples = {port.name: _KINDS[port.type] for port in session.get_outputs() if sample_shape(port)}
        self._binding, self._options = session.io_binding(), ort.RunOptions()
        if graph is not None:
            self._options.add_run_config_entry("gpu_graph_id", str(graph))
        for name, value in self.inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in self.outputs.items():
            self._binding.bind_ortvalue_output(name, value)

    def _value(self, ort, port, device: str, number: int):
        shape = sample_shape(port)
        shape = list(port.shape) if shape is None else [self.rows, *shape]
        return ort.OrtValue.ortvalue_from_shape_and_type(shape, _KINDS[port.type], device, number)

    def fill(self, arrays: dict[str, np.ndarray], first: int = 0) -> None:
        """Inputs from the host: of at most ``rows`` samples, put behind ``first`` others; what is left is zeros.

        Every call has the same number of samples, so that none picks another algorithm.
        """
        for name, values in arrays.items():
            shape = tuple(self.inputs[name].shape())
            whole = values if values.shape == shape else np.zeros(shape, values.dtype)
            if whole is not values:
                whole[first : first + len(values)] = values
            self.inputs[name].update_inplace(whole)

    def run(self) -> None:
        """The session on these tensors. Returns when the outputs are there."""
        self._session.run_with_iobinding(self._binding, self._options)

    def taken(self, name: str, first: int, count: int) -> np.ndarray:
        """Samples ``first`` to ``first + count - 1`` of an output, or all of what they share, in the host's memory."""
        values = self.outputs[name].numpy()
        return values[first : first + count] if name in self._of_samples else values

    def pinned(self, name: str, first: int, count: int, copies) -> np.ndarray | None:
        """The same of samples in pinned memory (:class:`.cuda_driver.PinnedCopies`), None if there is no more of it."""
        if name not in self._of_samples:
            return None
        value, kind = self.outputs[name], self._of_samples[name]
        shape = tuple(value.shape())[1:]
        sample = int(np.prod(shape)) * np.dtype(kind).itemsize
        return copies.taken(value.data_ptr() + first * sample, (count, *shape), kind)
