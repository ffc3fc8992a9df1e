"""What a lower precision changes: every value, and the distributions of what is measured of samples."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec

import distances
import ecg_peers
import numpy as np
import report
from gi_model import TRUNCATION, Workspace

import dsb_fast
from dsb_fast._models import ecg_source
from dsb_fast._models.card import NEAR

SUMMARY = "float32, bfloat16 and float16: errors in microvolts and grey levels, and how far distributions move"
COUNT = "ECGs and images of each way (5000)"
_BLOCK = 32
_ECG = ("heart_rate_bpm", "rr_sd_ms", "qrs_duration_ms", "qrs_range_uv", "range_uv", "noise_uv")
_IMAGE = ("mean_grey", "contrast_grey", "entropy_bits", "sharpness_grey")
_REFERENCE, _AGAIN = "dsb_fast fp32", "dsb_fast fp32, other samples"
_NO_WAY = "no provider here has an int8 form of these networks, and none is exported"

Way = Callable[[int], np.ndarray]  # a number of samples, of seed 0, to whole numbers


def _ecg_ways(missing: dict[str, str]) -> tuple[dict[str, Way], object]:
    """OpenVINO's bfloat16 stands for what that precision does to ECGs: dsb_fast refuses it."""
    generator = dsb_fast.load(ecg_source.NAME, device="cpu")
    ways: dict[str, Way] = {
        _REFERENCE: generator.sample,
        _AGAIN: lambda n: generator.sample(n, seed=1),
    }
    for precision in ("bf16", "fp16"):
        try:
            lower = dsb_fast.load(ecg_source.NAME, device="cpu", precision=precision)
            ways[f"dsb_fast {precision}"] = lower.sample
        except dsb_fast.DsbError as error:
            missing[f"ECG, dsb_fast {precision}"] = str(error)
    if find_spec("openvino") is None:
        missing["ECG, OpenVINO"] = "openvino is not installed; pip install '.[bench]'"
        return ways, generator
    portable = ecg_source.open_source(None).build(5000).model
    for precision in ("f32", "bf16"):
        try:
            peer = ecg_peers.OpenVino(portable, _BLOCK, precision)
        except RuntimeError:  # a processor without bfloat16
            missing[f"ECG, OpenVINO {precision}"] = "OpenVINO does not compute in it on this instruction set"
            continue

        def made(n: int, peer=peer) -> np.ndarray:
            blocks = range(0, n, _BLOCK)
            return np.concatenate([ecg_peers.microvolts(peer.signal(ecg_peers.draw(k, _BLOCK))) for k in blocks])[:n]

        ways[f"OpenVINO {precision}"] = made
    return ways, generator


def _image_ways(checkpoint: str, missing: dict[str, str]) -> tuple[dict[str, Way], object]:
    generator = dsb_fast.load(checkpoint, device="cpu")
    ways: dict[str, Way] = {
        _REFERENCE: lambda n: generator.sample(n, truncation=TRUNCATION),
        _AGAIN: lambda n: generator.sample(n, seed=1, truncation=TRUNCATION),
    }
    for precision in ("bf16", "fp16"):
        try:
            lower = dsb_fast.load(checkpoint, device="cpu", precision=precision)
        except dsb_fast.DsbError as error:
            missing[f"image, dsb_fast {precision}"] = str(error)
            continue
        ways[f"dsb_fast {precision}"] = lambda n, lower=lower: lower.sample(n, truncation=TRUNCATION)
    return ways, generator


def _errors(made: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """In microvolts or grey levels, sample by sample the same."""
    apart = np.abs(np.subtract(made, reference, dtype=np.int32))
    return {
        "max": float(apart.max()),
        "rms": float(np.sqrt(np.mean(np.square(apart, dtype=np.float64)))),
        "equal_share": float((apart == 0).mean()),
        "more_than_one_share": float((apart > 1).mean()),
        "more_than_two_share": float((apart > 2).mean()),
    }


def _compared(ways: dict[str, Way], generator, names: tuple[str, ...], count: int) -> list[dict]:
    """A row a way; the first is what the others are compared with."""
    rows: list[dict] = []
    reference = measured = None
    for name, make in ways.items():
        make(_BLOCK)
        begin = time.perf_counter()
        samples = make(count)
        rate = count / (time.perf_counter() - begin)
        found = generator.measure(samples, list(names))
        row = {"name": name, "samples_a_second": rate}
        if reference is None:
            reference, measured = samples, found
        else:
            if name != _AGAIN:
                row["errors"] = _errors(samples, reference)
                bound = NEAR[name.split()[-1]] if name.startswith("dsb_fast") else NEAR["fp32"]
                row["refusal"] = bound.refusal(samples, reference)
            row["distances"] = distances.compare(found, measured)
        rows.append(row)
    return rows


def _table(unit: str, rows: list[dict], names: tuple[str, ...]) -> str:
    lines = [("", "a second", f"max {unit}", "rms", "equal", "within bound", *names)]
    for row in rows:
        errors = row.get("errors")
        said = ("", "", "", "")
        if errors:
            verdict = "no" if row["refusal"] else "yes"
            said = (f"{errors['max']:.0f}", report.number(errors["rms"]), f"{errors['equal_share']:.2%}", verdict)
        moved = row.get("distances", {})
        cells = [f"{moved[name]['wasserstein'] / max(moved[name]['sd'], 1e-9):.3f}" if moved.get(name, {}).get("sd")
                 else "" for name in names]  # fmt: skip
        lines.append((row["name"], report.number(row["samples_a_second"]), *said, *cells))
    return report.table(lines)


def measure(count: int | None) -> dict:
    """ECGs, then images; every way makes the same samples once."""
    count = count or 5000
    missing = {"int8": _NO_WAY}
    workspace = Workspace("precision")
    try:
        ecgs = _compared(*_ecg_ways(missing), _ECG, count)
        images = _compared(*_image_ways(workspace.checkpoint, missing), _IMAGE, count)
    finally:
        workspace.release()
    return {
        "checked": f"{count} samples of seed 0 a way; {_AGAIN}: seed 1, what chance alone does",
        "ecg": ecgs,
        "image": images,
        "missing": missing,
        "measured": "errors beside float32; under each measurement how far its values move on average, in standard "
        f"deviations of float32's\n{_table('uV', ecgs, _ECG)}\n{_table('grey', images, _IMAGE)}",
    }
