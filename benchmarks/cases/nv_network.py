"""NVIDIA's network of the public 256 x 256 configuration: z and noise drawn, image computed, uint8 out."""

from __future__ import annotations

from importlib.util import find_spec

import gi_peers
import numpy as np
import nv_model
import nv_peers
from dsb_fast.export import stylegan2_graphs
from harness import Comparison, Missing, WrongAnswer

from dsb_fast import ops

from .ecg_network import best

SUMMARY = "z, noise, 256 x 256 StyleGAN2 of NVIDIA's, uint8: dsb_fast's fused graph, ONNX Runtime, OpenVINO"
COUNT = "images an alternative makes in a round (32; rounded up to whole batches of 8)"
TOLERANCE = 2e-5  # of the largest value
_BASELINE = "OpenVINO f32, portable graph"
_INEXACT = "OpenVINO bf16, portable graph"  # timed for comparison although it misses the tolerance by far
_BLOCK = max(gi_peers.BATCHES)


def _contenders(network, inputs: nv_peers.Inputs, missing: dict[str, str]) -> dict[str, list]:
    """Every peer with its settings to choose from; peers that are not here are named in ``missing``."""
    if find_spec("torch") is None:
        raise Missing("the reference: torch is not installed; pip install '.[bench]'")
    if find_spec("openvino") is None:
        raise Missing(f"{_BASELINE}: openvino is not installed; pip install '.[bench]'")
    portable, fused = (
        stylegan2_graphs.build(network, "whole", "input", flavour).SerializeToString()
        for flavour in ("portable", "fused")
    )
    library = str(ops.library_path())
    one_thread = [gi_peers.OnnxRuntime(fused, inputs, 1, 1, batch, library) for batch in gi_peers.BATCHES]
    contenders = {
        "dsb_fast, fused graph": gi_peers.onnx_runtime(fused, inputs, library),
        "dsb_fast, fused graph, one thread": one_thread,
    }
    contenders["ONNX Runtime, portable graph"] = gi_peers.onnx_runtime(portable, inputs)
    contenders[_BASELINE] = gi_peers.openvino(portable, inputs)
    try:
        contenders[_INEXACT] = gi_peers.openvino(portable, inputs, "bf16")
    except RuntimeError:  # a processor, or ONEDNN_MAX_CPU_ISA, without bfloat16
        missing[_INEXACT] = "OpenVINO computes no bfloat16 on this instruction set"
    return contenders


def _check(contenders: dict[str, list], network, inputs: nv_peers.Inputs) -> tuple[float, float]:
    """Worst error of any setting's image over the largest value, and bfloat16's. Raises WrongAnswer."""
    import torch
    from published_nvlabs import PublishedNetwork

    drawn = inputs.draw(0, _BLOCK)
    expected = nv_peers.published(PublishedNetwork(network, torch.float64), drawn)
    largest, worst, inexact = np.abs(expected).max(), 0.0, 0.0
    for name, peers in contenders.items():
        for peer in peers:
            error = float(np.abs(peer.image(drawn) - expected).max() / largest)
            if name == _INEXACT:
                inexact = max(inexact, error)
            elif not error <= TOLERANCE:
                raise WrongAnswer(f"{name} ({peer.setting}): image {error:.2e} from float64 torch, above {TOLERANCE}")
            else:
                worst = max(worst, error)
    return worst, inexact


def prepare(count: int | None) -> Comparison:
    """Every setting of every peer is checked, then each peer's best setting is chosen."""
    count = -(-(count or 32) // _BLOCK) * _BLOCK
    missing: dict[str, str] = {}
    network = nv_model.network(nv_model.SIZE)
    inputs = nv_peers.Inputs(network.z_dim, network.noise_sizes)
    contenders = _contenders(network, inputs, missing)
    worst, inexact = _check(contenders, network, inputs)
    alternatives = []
    while contenders:  # what lost is dropped as soon as that is known
        name = next(iter(contenders))
        alternatives.append(best(name, contenders.pop(name), count, 2 * _BLOCK))
    return Comparison(
        "images/s",
        _BASELINE,
        alternatives,
        f"every setting's image within {worst:.1e} of the largest value from float64 torch over {_BLOCK} samples "
        f"(bound {TOLERANCE})" + (f"; {_INEXACT}: off by up to {inexact:.1e}, inexact" if inexact else ""),
        missing,
        note="target: the fused graph twice as fast as OpenVINO (ratio 2); settings are the best of a short trial; all "
        "draw their numbers with dsb_fast",
    )
