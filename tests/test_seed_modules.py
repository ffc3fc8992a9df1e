"""The modules that stand in for deepsynthbody's: same signature, file names and contents."""

from __future__ import annotations

import inspect
import io

import numpy as np
import pytest

import dsb_fast
from dsb_fast.cardiovascular import deepfakeecg, ecg


def test_signature_begins_as_the_originals():
    parameters = inspect.signature(ecg.generate).parameters
    assert list(parameters)[:4] == ["num_ecg", "out_dir", "start_id", "device"]
    assert parameters["start_id"].default == 0 and parameters["device"].default == "cpu"


def test_deepfake_ecgs_own_names(tmp_path, generator):
    parameters = inspect.signature(deepfakeecg.generate).parameters
    assert list(parameters)[:4] == ["num_of_sample", "out_dir", "start_id", "run_device"]
    deepfakeecg.generate(num_of_sample=1, out_dir=str(tmp_path), start_id=2, run_device="cpu", seed=4)
    ecg.generate(1, tmp_path / "same", 2, seed=4)
    assert (tmp_path / "2.asc").read_bytes() == (tmp_path / "same/2.asc").read_bytes()


def test_files_are_those_of_the_original(tmp_path, generator, capsys):
    assert ecg.generate(3, str(tmp_path), start_id=7, seed=21) is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["7.asc", "8.asc", "9.asc"]
    expected = generator.sample(3, seed=21, start=7)
    for k in range(3):
        buffer = io.BytesIO()
        np.savetxt(buffer, expected[k].T, fmt="%i")
        assert (tmp_path / f"{7 + k}.asc").read_bytes() == buffer.getvalue()
    assert capsys.readouterr().err == ""


def test_seed_is_drawn_fresh_and_reported(tmp_path, capsys):
    ecg.generate(1, tmp_path / "a")
    ecg.generate(1, tmp_path / "b", run_device="cpu")
    said = [line.split()[2] for line in capsys.readouterr().err.splitlines()]
    assert len(said) == 2 and said[0] != said[1]
    assert (tmp_path / "a/0.asc").read_bytes() != (tmp_path / "b/0.asc").read_bytes()
    ecg.generate(1, tmp_path / "c", seed=int(said[0]))
    assert (tmp_path / "a/0.asc").read_bytes() == (tmp_path / "c/0.asc").read_bytes()


@pytest.mark.parametrize("stream", [None, io.BytesIO()])
def test_no_standard_error_or_a_foreign_one(tmp_path, monkeypatch, stream, generator):
    monkeypatch.setattr("sys.stderr", stream)
    ecg.generate(1, tmp_path, seed=2)
    if stream is None:
        ecg.generate(1, tmp_path)
    monkeypatch.undo()
    assert (tmp_path / "0.asc").exists()


def test_no_folder_is_refused_and_files_are_replaced(tmp_path):
    (tmp_path / "0.asc").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    ecg.generate(1, tmp_path, seed=1)
    assert (tmp_path / "0.asc").read_text() != "old" and (tmp_path / "mine.txt").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.asc", "mine.txt"]
    ecg.generate(0, tmp_path / "none", seed=1)
    assert not list((tmp_path / "none").iterdir())


def test_wrong_arguments(tmp_path):
    with pytest.raises(TypeError):
        ecg.generate(1, tmp_path, colour=1)
    with pytest.raises(dsb_fast.DeviceError):
        ecg.generate(1, tmp_path, device="abacus")
    with pytest.raises(dsb_fast.InputError):
        ecg.generate(1, tmp_path, seed=-1)
    (tmp_path / "file").touch()
    for wrong, name in (
        ((2.5, tmp_path), "num_ecg"), (("2", tmp_path), "num_ecg"), ((None, tmp_path), "num_ecg"),
        ((1, tmp_path, "a"), "start_id"), ((1, tmp_path, -1), "start_id"),
        ((1, None), "out_dir"), ((1, ""), "out_dir"), ((1, tmp_path / "file"), "out_dir"),
    ):  # fmt: skip
        with pytest.raises(dsb_fast.InputError, match=f"^{name}: "):
            ecg.generate(*wrong, seed=1)
