"""The cache of graphs: used when whole, rebuilt when not, never needed."""

from __future__ import annotations

import os

import pytest
from dsb_fast.export import onnx_file

import dsb_fast
from dsb_fast import _cache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DSB_CACHE_DIR", str(tmp_path / "cache"))
    built = []
    real = onnx_file.serialise
    monkeypatch.setattr(onnx_file, "serialise", lambda *a: built.append(1) or real(*a))
    return tmp_path / "cache", built


def _digest():
    return dsb_fast.load("cardiovascular.ecg", device="cpu").graph_sha256


def test_second_load_builds_nothing(cache):
    folder, built = cache
    assert _digest() == _digest() and len(built) == 1
    assert sorted(name.rpartition(".")[2] for name in os.listdir(folder)) == ["onnx", "sha256", "weights"]


@pytest.mark.parametrize("part", ["onnx", "weights"])
@pytest.mark.parametrize("hurt", ["flip", "cut", "empty", "no_digest", "wrong_digest", "absent"])
def test_damaged_entry_is_rebuilt(cache, hurt, part):
    folder, built = cache
    first = _digest()
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
    assert _digest() == first and len(built) == 2
    assert graph.read_bytes() == whole
    assert _digest() == first and len(built) == 2


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
