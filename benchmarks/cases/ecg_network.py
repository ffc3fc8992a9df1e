"""The network on all cores: noise drawn, signal computed, int16 microvolts out, nothing written."""

from __future__ import annotations

from importlib.util import find_spec

import ecg_peers
import numpy as np
import published_onnx
from dsb_fast.export import reference
from harness import Alternative, Comparison, Missing, WrongAnswer, fastest

import dsb_fast
from dsb_fast._models import ecg_source

SUMMARY = "noise, network, int16 microvolts on all cores: dsb_fast against ONNX Runtime, OpenVINO and torch"
COUNT = "ECGs an alternative makes in a round (1024; rounded up to whole batches of 32)"
TOLERANCE = 1e-4
_BASELINE = "ONNX Runtime, plain export"
_INEXACT = "OpenVINO bf16, portable graph"  # timed for comparison although its signal is of no use
_BLOCK = max(ecg_peers.BATCHES)


def _contenders(missing: dict[str, str]) -> dict[str, list]:
    """Every peer with its settings to choose from; peers that are not here are named in ``missing``."""
    source = ecg_source.open_source(None)
    network = source.network
    generator = dsb_fast.load(ecg_source.NAME, device="cpu")
    portable = source.build(5000).model
    if find_spec("onnxruntime") is None:
        raise Missing(f"{_BASELINE}: onnxruntime is not installed; pip install '.[cpu]'")
    contenders = {
        "dsb_fast": [ecg_peers.DsbFast(generator)],
        "dsb_fast, one thread": [ecg_peers.DsbFast(generator, 1)],
        _BASELINE: ecg_peers.onnx_runtime(published_onnx.build(network)),
        "ONNX Runtime, portable graph": ecg_peers.onnx_runtime(portable),
    }
    try:
        peers = [ecg_peers.OnnxRuntimeOpenVino(portable, batch) for batch in ecg_peers.BATCHES]
        contenders["ONNX Runtime's OpenVINO provider, portable graph"] = peers
    except Missing as why:
        missing["ONNX Runtime's OpenVINO provider"] = str(why)
    if find_spec("openvino") is None:
        missing["OpenVINO"] = "openvino is not installed; pip install '.[bench]'"
    else:
        contenders["OpenVINO f32, plain export"] = ecg_peers.openvino(published_onnx.build(network))
        contenders["OpenVINO f32, portable graph"] = ecg_peers.openvino(portable)
        try:
            contenders[_INEXACT] = ecg_peers.openvino(portable, "bf16")
        except RuntimeError:  # a processor, or ONEDNN_MAX_CPU_ISA, without bfloat16
            missing[_INEXACT] = "OpenVINO computes no bfloat16 on this instruction set"
    contenders["torch, as published"] = [ecg_peers.Torch(network)]
    if why := ecg_peers.why_not_compiled():
        missing["torch.compile, as published"] = why
    else:
        contenders["torch.compile, as published"] = [ecg_peers.Torch(network, compiled=True)]
    return contenders


def _check(contenders: dict[str, list]) -> tuple[float, float]:
    """Worst error of any setting's signal, and that of bfloat16. Raises WrongAnswer above the tolerance."""
    noise = ecg_peers.draw(0, _BLOCK)
    expected = reference.signal(ecg_source.open_source(None).network, noise)
    worst, inexact = 0.0, 0.0
    for name, peers in contenders.items():
        for peer in peers:
            error = float(np.abs(peer.signal(noise) - expected).max())
            if name == _INEXACT:
                inexact = max(inexact, error)
                continue
            if not error <= TOLERANCE:
                raise WrongAnswer(f"{name} ({peer.setting}): signal {error:.2e} from float64 torch, above {TOLERANCE}")
            worst = max(worst, error)
    ours = dsb_fast.load(ecg_source.NAME, device="cpu").sample(_BLOCK, seed=0)
    if np.abs(ours - np.trunc(expected * ecg_peers.SCALE)).max() > 1:
        raise WrongAnswer("dsb_fast.load(...).sample is more than 1 microvolt from float64 torch")
    return worst, inexact


def best(name: str, peers: list, count: int, trial_count: int) -> Alternative:
    """The fastest setting of a short, interleaved trial; the others are dropped."""
    peer = peers[0] if len(peers) == 1 else fastest(peers, trial_count)
    return Alternative(name, lambda: peer.run(count), count, setting=peer.setting)


def prepare(count: int | None) -> Comparison:
    """Every setting of every peer is checked, then each peer's best setting is chosen."""
    count = -(-(count or 1024) // _BLOCK) * _BLOCK
    missing: dict[str, str] = {}
    contenders = _contenders(missing)
    worst, inexact = _check(contenders)
    alternatives = []
    while contenders:
        name = next(iter(contenders))
        alternatives.append(best(name, contenders.pop(name), count, 2 * _BLOCK))
    return Comparison(
        "ECG/s",
        _BASELINE,
        alternatives,
        f"every setting's signal within {worst:.1e} of float64 torch over {_BLOCK} samples (bound {TOLERANCE})"
        + (f"; {_INEXACT}: off by up to {inexact:.1e}, of no use" if inexact else ""),
        missing,
        note="other settings than dsb_fast's are the best of a short trial; the ONNX peers draw noise with dsb_fast",
    )
