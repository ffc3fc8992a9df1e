"""One ECG at a time: noise drawn, network, int16 microvolts."""

from __future__ import annotations

from importlib.util import find_spec

import ecg_peers
import numpy as np
from dsb_fast.export import reference
from harness import Alternative, Comparison, Missing, WrongAnswer
from machine import cores

import dsb_fast
from dsb_fast._models import ecg_source

SUMMARY = "a single ECG on all cores, one after the other: dsb_fast against ONNX Runtime and OpenVINO's latency mode"
COUNT = "ECGs an alternative makes in a round, one at a time (100)"
TOLERANCE = 1e-4


class _Single:
    """``Generator.sample(1)``, call after call."""

    setting = "sample(1)"

    def __init__(self, generator):
        self._generator = generator

    def signal(self, noise):
        return np.concatenate([self._generator.run(noise=one[None])["signal"] for one in noise])

    def run(self, count):
        for number in range(count):
            self._generator.sample(1, start=number)


class _Latency(ecg_peers.OpenVino):
    """OpenVINO's latency mode, one synchronous request."""

    def __init__(self, graph):
        super().__init__(graph, 1, hint="LATENCY")
        self.setting = "LATENCY, batch 1"
        self._request = self._model.create_infer_request()

    def run(self, count):
        for number in range(count):
            results = self._request.infer([ecg_peers.draw(number, 1)], share_inputs=True)
            ecg_peers.microvolts(results[0])


def prepare(count: int | None) -> Comparison:
    """Every peer's signal is checked first."""
    count, missing = count or 100, {}
    source = ecg_source.open_source(None)
    portable = source.build(5000).model
    if find_spec("onnxruntime") is None:
        raise Missing("ONNX Runtime: onnxruntime is not installed; pip install '.[cpu]'")
    baseline = "ONNX Runtime, portable graph"
    peers = {
        "dsb_fast": _Single(dsb_fast.load(ecg_source.NAME, device="cpu")),
        baseline: ecg_peers.OnnxRuntime(portable, 1, cores(), 1),
    }
    if find_spec("openvino") is None:
        missing["OpenVINO"] = "openvino is not installed; pip install '.[bench]'"
    else:
        peers["OpenVINO f32, portable graph"] = _Latency(portable)
    noise = ecg_peers.draw(0, 3)
    expected, worst = reference.signal(source.network, noise), 0.0
    for name, peer in peers.items():
        error = float(np.abs(peer.signal(noise) - expected).max())
        if not error <= TOLERANCE:
            raise WrongAnswer(f"{name}: signal {error:.2e} from float64 torch, above {TOLERANCE}")
        worst = max(worst, error)
    return Comparison(
        "ECG/s",
        baseline,
        [Alternative(name, lambda p=peer: p.run(count), count, setting=peer.setting) for name, peer in peers.items()],
        f"every signal within {worst:.1e} of float64 torch over 3 samples (bound {TOLERANCE})",
        missing,
        note="target: at least half of OpenVINO's rate",
    )
