"""Images as a user makes them, whole process; what encoding and writing add to the time of making them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from gi_model import Workspace
from harness import Alternative, Comparison, WrongAnswer

import dsb_fast

from .ecg_process import Folder, command, run_process

SUMMARY = "dsb-fast generate MODEL.pt -n 200 to png, jpg and webdataset, start-up included, against --format dummy"
COUNT = "images of a run (200)"
_BASELINE = "dummy"
_FORMATS = ("png", "jpg", "webdataset", _BASELINE)
_SUFFIXES = {"webdataset": ".tar", _BASELINE: ".none"}
_SHARD = 256  # samples of a webdataset file
_JPEG_TOLERANCE = 4.0  # grey levels, on average


def _check_first(path: Path, expected: np.ndarray, tolerance: float) -> None:
    from PIL import Image

    with Image.open(path) as picture:
        found = np.asarray(picture).astype(int)
    if found.shape != expected.shape or np.abs(found - expected).mean() > tolerance:
        raise WrongAnswer(f"{path.name} of dsb-fast generate is not dsb_fast.load(...).sample(1)")


def _digests(folder: Path) -> list[str]:
    """Of the decoded samples, shard by shard."""
    manifest = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    return [shard["samples_sha256"] for shard in manifest["shards"]]


def _check(words: dict[str, list], count: int, workspace: Workspace) -> None:
    """Every format's folder is what it should be. Raises WrongAnswer."""
    expected = dsb_fast.load(workspace.checkpoint, device="cpu").sample(1, seed=0)[0]
    digests = {}
    for name in _FORMATS:
        folder = _folder(workspace, name, count, "check-")
        folder.clear()
        run_process([*words[name], folder.path], workspace.folder)
        folder.check()
        digests[name] = _digests(folder.path)
        if name not in _SUFFIXES:
            _check_first(folder.path / f"0.{name}", expected, _JPEG_TOLERANCE if name == "jpg" else 0)
    if any(found != digests[_BASELINE] for found in digests.values()):
        raise WrongAnswer("the formats' manifests have different samples")


def _folder(workspace: Workspace, name: str, count: int, prefix: str = "") -> Folder:
    files = {_BASELINE: 0, "webdataset": -(-count // _SHARD)}.get(name, count)
    return Folder(workspace.folder, prefix + name, files, _SUFFIXES.get(name, f".{name}"))


def _alternative(name: str, words: list, count: int, workspace: Workspace) -> Alternative:
    folder = _folder(workspace, name, count)
    return Alternative(
        name, lambda: run_process([*words, folder.path], workspace.folder), 1, folder.clear, folder.after,
        f"{count} images",
    )  # fmt: skip


def prepare(count: int | None) -> Comparison:
    """Every format once, its files checked; the caches are warm after that."""
    count = count or 200
    program = command()
    workspace = Workspace("gi_process")
    try:
        ours = [*program, "generate", workspace.checkpoint, "-n", str(count), "--device", "cpu", "--quiet"]
        words = {name: [*ours, "--format", name, "-o"] for name in _FORMATS}
        _check(words, count, workspace)
    except BaseException:
        workspace.release()
        raise
    return Comparison(
        "s",
        _BASELINE,
        [_alternative(name, words[name], count, workspace) for name in _FORMATS],
        f"{count} images a format; 0.png equal to dsb_fast.load(...).sample(1), 0.jpg close to it; all formats alike",
        warm=True,
        note="encoding and writing take 1 - 1/ratio of the time; target: under 10 %, a ratio below 1.11",
        release=workspace.release,
    )
