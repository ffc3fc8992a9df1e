"""An exported ONNX file of an image network: what the families have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import ClassVar

import numpy as np

from .. import _cache
from .._errors import CheckpointError, InputError, ModelError

PARTS = ("whole", "mapping", "synthesis")


class ExportedImage(ABC):
    """The whole network, of which the parts can be had, or one part, and its card.

    Raises CheckpointError for a file that is not what its card says, InputError for another ``network`` than its own.
    """

    offers: ClassVar[tuple[str, ...]] = ("graph",)
    precision = "fp32"

    def __init__(self, path: str, data: bytes, network: str | None):
        from ..export import onnx_file, whole_graph

        self.path, self.said = path, {}
        found = onnx_file.check(data)
        self.name, self.weights_sha256 = found.properties["model"], found.properties["weights_sha256"]
        self._flavour = found.properties["flavour"]
        self._graph = _cache.Graph(data, found.properties["graph_sha256"])
        part = self._part_of(found.card)
        try:
            self.card = self._checked(found.card)
        except InputError as error:
            raise CheckpointError(str(error)) from None
        if {**found.inputs, **found.outputs} != self._ports(part):
            raise CheckpointError("its model card does not fit the inputs and outputs of its graph")
        if network not in (None, self.card.network):
            raise InputError(f"network: {path} is the {self.card.network} one; {network} is in the checkpoint")
        self.parts = PARTS if part == "whole" else (part,)
        self._mean = whole_graph.mean_style(found.model, self._style_length) if part == "whole" else None

    @abstractmethod
    def _part_of(self, card: dict) -> str:
        """The part that the file is; takes what is no entry of the network's own card out of ``card``."""

    @abstractmethod
    def _checked(self, card: dict):
        """The network's card. Raises InputError."""

    @abstractmethod
    def _ports(self, part: str) -> dict[str, tuple[int, ...]]:
        """The inputs and outputs of a part, with the shape of one sample."""

    @property
    @abstractmethod
    def _style_length(self) -> int:
        """Numbers in a style."""

    @abstractmethod
    def _halves(self, whole) -> tuple:
        """Mapping and synthesis of the whole model."""

    def confirm(self) -> None:  # noqa: B027
        """Checked when it was opened."""

    @property
    def mean_style(self) -> np.ndarray:
        """float32 [D], as it is in the graph."""
        if self._mean is None:
            raise ModelError(f"mean_style: {self.path}, the {self.parts[0]} network, has none; load the checkpoint")
        return np.array(self._mean)

    def flavour(self, able: tuple[str, ...]) -> str:
        """The file's own, whatever a backend runs."""
        return self._flavour

    @cached_property
    def _cut(self) -> dict[str, _cache.Graph]:
        """Mapping and synthesis out of the whole network."""
        import onnx

        from ..export import onnx_file

        halves = self._halves(onnx.load_model_from_string(self._graph.model))
        return {p: _cache.Graph(*onnx_file.serialise(m, {})) for p, m in zip(PARTS[1:], halves, strict=True)}

    def _part(self, part: str, plan: str) -> _cache.Graph:
        """The file's bytes, or the part cut out of them; made anew for another plan than the file's precision."""
        graph = self._graph if part == self.parts[0] else self._cut[part]
        if plan == self.precision:
            return graph
        import onnx

        from ..export import fused_products, onnx_file

        model = onnx.load_model_from_string(graph.model)
        fused_products.to_bfloat16(model, plan)
        return _cache.Graph(*onnx_file.serialise(model, {}))
