"""The cache of graphs and packed weights: used when whole, rebuilt when not, never needed."""

from __future__ import annotations

import os

import pytest
import torch
from dsb_fast.export import onnx_file
from references.make_checkpoint import state_dict

import dsb_fast
from dsb_fast import _cache, _fused, _kernels
from dsb_fast._models.ecg_source import open_source


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A network whose graph is made in no time."""
    path = tmp_path_factory.mktemp("small") / "net.pt"
    torch.save(state_dict(6), path)
    return str(path)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DSB_CACHE_DIR", str(tmp_path / "cache"))
    built = []
    real = onnx_file.serialise
    monkeypatch.setattr(onnx_file, "serialise", lambda *a: built.append(1) or real(*a))
    return tmp_path / "cache", built


def _digest(checkpoint=None):
    return open_source(checkpoint).graph(5000).sha256


def test_second_load_builds_nothing(cache):
    folder, built = cache
    assert _digest() == _digest() and len(built) == 1
    assert sorted(name.rpartition(".")[2] for name in os.listdir(folder)) == ["onnx", "sha256", "weights"]


@pytest.mark.parametrize("part", ["onnx", "weights"])
@pytest.mark.parametrize("hurt", ["flip", "cut", "empty", "no_digest", "wrong_digest", "absent"])
def test_damaged_entry_is_rebuilt(cache, small, hurt, part):
    folder, built = cache
    first = _digest(small)
    graph = next(folder.glob(f"*.{part}"))
    note = next(folder.glob("*.sha256"))
    raw = bytearray(graph.read_bytes())
    raw[len(raw) // 2] ^= 1
    whole = graph.read_bytes()
    {
        "flip": lambda: graph.write_bytes(raw), "cut": lambda: graph.write_bytes(raw[:-9]),
        "empty": lambda: graph.write_bytes(b""), "no_digest": note.unlink,
        "wrong_digest": lambda: note.write_text(" ".join(["0" * 64] * 3)),
        "absent": graph.unlink,
    }[hurt]()  # fmt: skip
    assert _digest(small) == first and len(built) == 2
    assert graph.read_bytes() == whole
    assert _digest(small) == first and len(built) == 2


def test_another_exporter_gets_its_own_entry(cache, monkeypatch):
    folder, built = cache
    _digest()
    monkeypatch.setattr(_cache, "_exporter_digest", lambda: b"another")
    _digest()
    assert len(built) == 2 and len(list(folder.glob("*.onnx"))) == 2


def test_cache_that_can_not_be_written_is_no_error(cache, monkeypatch):
    _, built = cache
    monkeypatch.setenv("DSB_CACHE_DIR", "/proc/nowhere")
    assert _digest() and len(built) == 1


@pytest.fixture
def packed(tmp_path, monkeypatch):
    if _kernels.native is None:
        pytest.skip("the extension is not built (DSB_NATIVE=0)")
    monkeypatch.setenv("DSB_CACHE_DIR", str(tmp_path / "cache"))
    made = []
    real = _fused.pack
    monkeypatch.setattr(_fused, "pack", lambda network: made.append(1) or real(network))
    return tmp_path / "cache", made


def _sample(model="cardiovascular.ecg"):
    return dsb_fast.load(model, device="cpu").sample(1, seed=4)


@pytest.mark.parametrize("part", ["f32", "sha256"])
@pytest.mark.parametrize("hurt", ["flip", "cut", "longer", "empty", "absent", "folder"])
def test_damaged_weights_are_packed_again(packed, small, hurt, part):
    folder, made = packed
    first = _sample(small)
    assert (_sample(small) == first).all() and len(made) == 1
    file = next(folder.glob(f"*.{part}"))
    whole = file.read_bytes()
    raw = bytearray(whole)
    raw[len(raw) // 2] ^= 1
    {
        "flip": lambda: file.write_bytes(raw), "cut": lambda: file.write_bytes(raw[:-9]), "absent": file.unlink,
        "longer": lambda: file.write_bytes(whole + b"12345678"), "empty": lambda: file.write_bytes(b""),
        "folder": lambda: (file.unlink(), file.mkdir()),
    }[hurt]()  # fmt: skip
    assert (_sample(small) == first).all() and len(made) == 2
    if hurt != "folder":
        assert (_sample(small) == first).all() and len(made) == 2 and file.read_bytes() == whole


def test_another_extension_packs_its_own_weights(packed, monkeypatch):
    folder, made = packed
    _sample()
    monkeypatch.setattr(_fused, "packing", lambda: "another")
    _sample()
    assert len(made) == 2 and len(list(folder.glob("*.f32"))) == 2


def test_weights_need_no_cache(packed, monkeypatch):
    _, made = packed
    first = _sample()
    monkeypatch.setenv("DSB_CACHE_DIR", "/proc/nowhere")
    assert (_sample() == first).all() and len(made) == 2
