"""Mapping and synthesis out of an exported whole network of NVIDIA's or rosinality's (whole_graph.py)."""

from __future__ import annotations

import onnx

from .whole_graph import halves, mean_style


def parts(whole: onnx.ModelProto, rows: int) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Mapping and synthesis, as the builders of those parts make them; w has ``rows``. Raises CheckpointError."""
    found, w = halves(whole), {"w": ["N", rows, len(mean_style(whole))]}
    latents = {name: shape for name, shape in found.shapes.items() if name in ("z", "label")}
    planes = {name: shape for name, shape in found.shapes.items() if name.startswith("noise_")}
    name = whole.graph.name
    return found.models(
        (f"{name}_mapping", latents, w), (f"{name}_synthesis", w | planes, {"image": found.shape("image")})
    )
