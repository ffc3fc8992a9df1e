"""The GI-tract network on all cores: z and noise drawn, image computed, uint8 out, nothing written."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import gi_peers
import numpy as np
from gi_model import TRUNCATION, Workspace
from harness import Alternative, Comparison, WrongAnswer

import dsb_fast

from .ecg_network import best

SUMMARY = "z, noise, 128 x 128 image network, uint8: dsb_fast, ONNX Runtime, OpenVINO, the original in torch"
COUNT = "images an alternative makes in a round (64; rounded up to whole batches of 8; the fused flavour an eighth)"
TOLERANCE = 2e-5  # of the largest value
_BASELINE = "torch, as published"
_FUSED = "dsb_fast, fused"
_INEXACT = "OpenVINO bf16, portable graph"  # timed for comparison although it misses the tolerance by far
_BLOCK = max(gi_peers.BATCHES)


def _networks(generator) -> tuple:
    """The original in eager torch, and the same in float64."""
    import torch
    from published_stylegan2 import PublishedNetwork

    lucid = generator.model.source.lucid
    network = lucid.network("ema")
    tensors = (network.mapping, network.generator, generator.mean_style, lucid.lr_mlp)
    return PublishedNetwork(*tensors), PublishedNetwork(*tensors, dtype=torch.float64)


def _contenders(generator, original, inputs: gi_peers.Inputs, folder: str, missing: dict[str, str]) -> dict[str, list]:
    """Every peer with its settings to choose from; peers that are not here are named in ``missing``."""
    source = generator.model.source
    portable = source.build("whole", "portable").model
    contenders = {
        "dsb_fast": [gi_peers.DsbFast(generator)],
        "dsb_fast, one thread": [gi_peers.DsbFast(generator, 1)],
    }
    try:
        fused = str(Path(folder, "fused.onnx"))
        source.export(fused, "fused")
        contenders[_FUSED] = [gi_peers.DsbFast(dsb_fast.load(fused, device="cpu"))]
    except dsb_fast.DsbError as error:  # nothing was compiled
        missing[_FUSED] = str(error)
    contenders["ONNX Runtime, portable graph"] = gi_peers.onnx_runtime(portable, inputs)
    if find_spec("openvino") is None:
        missing["OpenVINO"] = "openvino is not installed; pip install '.[bench]'"
    else:
        contenders["OpenVINO f32, portable graph"] = gi_peers.openvino(portable, inputs)
        try:
            contenders[_INEXACT] = gi_peers.openvino(portable, inputs, "bf16")
        except RuntimeError:  # a processor, or ONEDNN_MAX_CPU_ISA, without bfloat16
            missing[_INEXACT] = "OpenVINO computes no bfloat16 on this instruction set"
    contenders[_BASELINE] = [gi_peers.Torch(original, batch) for batch in gi_peers.BATCHES]
    return contenders


def _check(contenders: dict[str, list], generator, exact, inputs: gi_peers.Inputs) -> tuple[float, float]:
    """Worst error of any setting's image over the largest value, and bfloat16's. Raises WrongAnswer."""
    drawn = inputs.draw(0, _BLOCK)
    expected = exact.image(drawn["z"], drawn["noise"], TRUNCATION)
    largest, worst, inexact = np.abs(expected).max(), 0.0, 0.0
    for name, peers in contenders.items():
        for peer in peers:
            error = float(np.abs(peer.image(drawn) - expected).max() / largest)
            if name == _INEXACT:
                inexact = max(inexact, error)
                continue
            if not error <= TOLERANCE:
                raise WrongAnswer(f"{name} ({peer.setting}): image {error:.2e} from float64 torch, above {TOLERANCE}")
            worst = max(worst, error)
    levels = np.floor(np.clip(expected, 0, 1) * 255 + 0.5).transpose(0, 2, 3, 1)
    off = np.abs(generator.sample(_BLOCK, seed=0, truncation=TRUNCATION) - levels)
    if off.max() > 1 or (off > 0).mean() > 0.005:
        raise WrongAnswer("dsb_fast.load(...).sample is not float64 torch's grey levels")
    return worst, inexact


def _alternatives(contenders: dict[str, list], count: int) -> list[Alternative]:
    """Each peer's best setting; what lost is dropped as soon as that is known."""
    found = []
    while contenders:
        name = next(iter(contenders))
        share = -(-count // (8 * _BLOCK)) * _BLOCK if name == _FUSED else count
        found.append(best(name, contenders.pop(name), share, 2 * _BLOCK))
    return found


def prepare(count: int | None) -> Comparison:
    """Every setting of every peer is checked, then each peer's best setting is chosen."""
    count = -(-(count or 64) // _BLOCK) * _BLOCK
    missing: dict[str, str] = {}
    workspace = Workspace("gi_network")
    try:
        generator = dsb_fast.load(workspace.checkpoint, device="cpu")
        card = generator.model.card
        inputs = gi_peers.Inputs(card.latent_dim, card.image_size)
        original, exact = _networks(generator)
        contenders = _contenders(generator, original, inputs, workspace.folder, missing)
        worst, inexact = _check(contenders, generator, exact, inputs)
        alternatives = _alternatives(contenders, count)
    except BaseException:
        workspace.release()
        raise
    return Comparison(
        "images/s",
        _BASELINE,
        alternatives,
        f"every setting's image within {worst:.1e} of the largest value from float64 torch over {_BLOCK} samples "
        f"(bound {TOLERANCE})" + (f"; {_INEXACT}: off by up to {inexact:.1e}, inexact" if inexact else ""),
        missing,
        note="target: the portable graph in ONNX Runtime at least as fast as torch as published (ratio 1); other "
        "settings than dsb_fast's are the best of a short trial; the ONNX peers draw their numbers with dsb_fast",
        release=workspace.release,
    )
