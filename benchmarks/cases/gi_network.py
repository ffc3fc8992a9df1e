"""The GI-tract network on all cores: z and noise drawn, image computed, uint8 out, nothing written."""

from __future__ import annotations

import copy
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import ecg_peers
import gi_peers
import numpy as np
from gi_model import TRUNCATION, Workspace
from harness import Alternative, Comparison, WrongAnswer

import dsb_fast

from .ecg_network import best

SUMMARY = "z, noise, 128 x 128 image network, uint8: dsb_fast, ONNX Runtime, OpenVINO, the original in torch"
COUNT = "images an alternative makes in a round (64; rounded up to whole batches of 8)"
TOLERANCE = 2e-5  # of the largest value
_BASELINE, _COMPILED = "torch, as published", "torch.compile, as published"
COMPILE = True  # torch.compile takes a minute
_OWN, _OWN_BF16, _PORTABLE = "dsb_fast", "dsb_fast bf16", "dsb_fast, portable graph"
_OPENVINO, _OPENVINO_BF16 = "OpenVINO f32, portable graph", "OpenVINO bf16, portable graph"
_INEXACT = (_OWN_BF16, _OPENVINO_BF16)  # miss the tolerance by far; the share of grey levels within 2 is told
_TARGETS = (
    (_OWN, _OPENVINO, 2.8),
    (_OWN, _BASELINE, 5.0),
    (_OWN_BF16, _OPENVINO_BF16, 2.3),
    (_PORTABLE, _BASELINE, 1.0),
)
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
    import published_gi_onnx

    source = generator.model.source
    portable = source.build("whole", "portable").model
    file = str(Path(folder, "portable.onnx"))
    source.export(file, "portable")
    contenders = {
        _OWN: [gi_peers.DsbFast(generator)],
        f"{_OWN}, one thread": [gi_peers.DsbFast(generator, 1)],
        _PORTABLE: [gi_peers.DsbFast(dsb_fast.load(file, device="cpu"))],
    }
    try:
        contenders[_OWN_BF16] = [gi_peers.DsbFast(dsb_fast.load(source.path, device="cpu", precision="bf16"))]
    except dsb_fast.DsbError as error:  # nothing was compiled, or the acceptance test failed
        missing[_OWN_BF16] = str(error)
    contenders["ONNX Runtime, portable graph"] = gi_peers.onnx_runtime(portable, inputs)
    plain = partial(published_gi_onnx.build, original)
    contenders["ONNX Runtime, plain export"] = gi_peers.onnx_runtime_plain(plain, inputs)
    if find_spec("openvino") is None:
        missing["OpenVINO"] = "openvino is not installed; pip install '.[bench]'"
    else:
        contenders[_OPENVINO] = gi_peers.openvino(portable, inputs)
        contenders["OpenVINO f32, plain export"] = [gi_peers.OpenVino(plain(_BLOCK), inputs, _BLOCK, "f32")]
        try:
            contenders[_OPENVINO_BF16] = gi_peers.openvino(portable, inputs, "bf16")
        except RuntimeError:  # a processor, or ONEDNN_MAX_CPU_ISA, without bfloat16
            missing[_OPENVINO_BF16] = "OpenVINO computes no bfloat16 on this instruction set"
    contenders[_BASELINE] = [gi_peers.Torch(original, batch) for batch in gi_peers.BATCHES]
    if not COMPILE or (why := ecg_peers.why_not_compiled()):
        missing[_COMPILED] = why if COMPILE else "left out"
    else:
        contenders[_COMPILED] = [gi_peers.Torch(copy.copy(original), _BLOCK, compiled=True)]
    return contenders


def _check(contenders: dict[str, list], generator, exact, inputs: gi_peers.Inputs) -> tuple[float, dict[str, str]]:
    """Worst error of any setting's image over the largest value, and how far off bfloat16 is. Raises WrongAnswer."""
    drawn = inputs.draw(0, _BLOCK)
    expected = exact.image(drawn["z"], drawn["noise"], TRUNCATION)
    largest, worst, inexact = np.abs(expected).max(), 0.0, {}
    levels = gi_peers.grey_levels(expected.astype(np.float32)).astype(np.int16)
    for name, peers in contenders.items():
        for peer in peers:
            image = peer.image(drawn)
            error = float(np.abs(image - expected).max() / largest)
            if name in _INEXACT:
                within = float((np.abs(gi_peers.grey_levels(image) - levels) <= 2).mean())
                inexact[name] = f"{error:.1e} of the largest value off, {100 * within:.2f} % of grey levels within 2"
                continue
            if not error <= TOLERANCE:
                raise WrongAnswer(f"{name} ({peer.setting}): image {error:.2e} from float64 torch, above {TOLERANCE}")
            worst = max(worst, error)
    off = np.abs(generator.sample(_BLOCK, seed=0, truncation=TRUNCATION) - levels)
    if off.max() > 1 or (off > 0).mean() > 0.005:
        raise WrongAnswer("dsb_fast.load(...).sample is not float64 torch's grey levels")
    return worst, inexact


def _alternatives(contenders: dict[str, list], count: int) -> list[Alternative]:
    """Each peer's best setting; what lost is dropped as soon as that is known."""
    found = []
    while contenders:
        name = next(iter(contenders))
        found.append(best(name, contenders.pop(name), count, 2 * _BLOCK))
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
        f"(bound {TOLERANCE})" + "".join(f"; {name}: {what}" for name, what in inexact.items()),
        missing,
        note="other settings than dsb_fast's are the best of a short trial; the ONNX peers draw their numbers with "
        "dsb_fast",
        release=workspace.release,
        targets=_TARGETS,
    )
