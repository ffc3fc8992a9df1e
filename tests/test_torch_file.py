"""The reader of torch files: equal to torch on good ones, one cheap line on bad ones, never executing anything."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from dsb_fast.export import torch_file
from hostile import corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from references.make_checkpoint import state_dict

import dsb_fast
from dsb_fast._models import ecg_source as ecg

pytestmark = pytest.mark.variant_independent


def _saved(value, zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
)
def test_tensors_of_every_type_equal_torchs(zipped, dtype):
    tensor = (torch.arange(60).reshape(3, 4, 5) % 7).to(getattr(torch, dtype))
    got = torch_file.parse(_saved({"t": tensor}, zipped))["t"].numpy()
    assert (got == tensor.to(torch.float64).numpy()).all()


@pytest.mark.parametrize("zipped", [True, False])
def test_views_parameters_and_plain_values(zipped):
    base = torch.arange(100.0).reshape(10, 10)
    value = {
        "view": base[2:5, 1::3],
        "transposed": base.t(),
        "parameter": torch.nn.Parameter(base[0]),
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(2.5),
        "step": 7,
        "text": "é",
        "list": [1, 2.5, None, True, (1, 2)],
        "size": base.shape,
    }
    tree = torch_file.parse(_saved(value, zipped))
    for name in ("view", "transposed", "parameter", "empty", "scalar"):
        assert (tree[name].numpy() == value[name].detach().numpy()).all(), name
        assert tree[name].numpy().shape == tuple(value[name].shape), name
    assert tree["step"] == 7 and tree["text"] == "é" and tree["list"] == value["list"] and tree["size"] == (10, 10)


def test_published_weights_equal_torchs():
    path = ecg.published_checkpoint()
    state = torch.load(path, map_location="cpu", weights_only=True)["stat_dict"]
    tree, digest = torch_file.load(path)
    assert digest == ecg.PUBLISHED_SHA256
    assert set(tree["stat_dict"]) == set(state)
    for name, tensor in state.items():
        assert (tree["stat_dict"][name].numpy() == tensor.numpy()).all(), name


def _refused(path, tmp_path, monkeypatch, limit: int = 64 << 20) -> str:
    """Load ``path`` in an empty folder: one line, no marker file, little memory. Returns the line."""
    empty = tmp_path / "empty" / "inner"
    empty.mkdir(parents=True)
    monkeypatch.chdir(empty)
    tracemalloc.start()
    try:
        with pytest.raises(dsb_fast.CheckpointError) as raised:
            dsb_fast.load(path, device="cpu")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < max(limit, 8 * os.path.getsize(path)), f"{peak} bytes"
    assert not list(empty.iterdir()) and [p.name for p in empty.parent.iterdir()] == ["inner"]
    line = str(raised.value)
    assert "\n" not in line and str(path.parent) in line  # the file, or the .config.json beside it
    return line


GOLDEN_UNSAFE = [
    "nv_reduce_nested.pkl", "nv_reduce_state.pkl", "reduce_legacy.pt", "reduce_objects.npz", "reduce_plain.pkl",
    "reduce_zip.pt", "rosinality_wrong_shape.pt", *(f"lucid/{name}/model_1.pt" for name in (
        "truncated", "wrong_shape", "missing_key", "nan_one", "nan_all", "config_mismatch", "config_huge",
        "config_not_json", "bit_rot", "bit_rot_tensor", "path_traversal",
    )),
]  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN_UNSAFE)
def test_golden_unsafe_files_are_refused(name, data, tmp_path, monkeypatch):
    _refused(data / "unsafe" / name, tmp_path, monkeypatch)
    assert not os.path.exists("/tmp/GOLDEN_TRAVERSAL_abs.txt")


@pytest.mark.parametrize(
    ("name", "word"),
    [("truncated", "zip"), ("bit_rot", "damaged|CRC"), ("bit_rot_tensor", "CRC"), ("path_traversal", "outside")],
)
def test_damage_is_named_by_the_reader_itself(name, word, data):
    with pytest.raises(dsb_fast.CheckpointError, match=word):
        torch_file.load(data / "unsafe/lucid" / name / "model_1.pt")


@pytest.mark.parametrize("name", sorted(corpus.FILES))
def test_own_hostile_corpus_is_refused(name, tmp_path, monkeypatch):
    path = tmp_path / f"{name}.pt"
    path.write_bytes(corpus.FILES[name]())
    _refused(path, tmp_path, monkeypatch)


def test_the_corpus_bites(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the trap leaves its mark
    """The traps are real: Python's own unpickler runs them."""
    ran = []
    corpus.RAN.append(ran.append)
    try:
        pickle.loads(corpus.call_pickle())
    finally:
        corpus.RAN.clear()
    assert ran == ["called"]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_give_an_answer_or_one_line(data):
    zipped = data.draw(st.booleans())
    raw = bytearray(_saved({"state_dict": state_dict(5)}, zipped)[:200_000])
    for _ in range(data.draw(st.integers(1, 6))):
        # The interesting bytes are the pickle's, near the beginning.
        raw[data.draw(st.integers(0, min(len(raw), 6000) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    try:
        torch_file.parse(bytes(raw if data.draw(st.booleans()) else raw[:cut]))
    except dsb_fast.CheckpointError as error:
        assert "\n" not in str(error)


def test_zip_member_with_a_wrong_crc_is_refused():
    raw = bytearray(_saved({"t": torch.zeros(1000)}, True))
    with zipfile.ZipFile(io.BytesIO(bytes(raw))) as archive:
        info = archive.getinfo(next(n for n in archive.namelist() if n.endswith("data/0")))
    raw[info.header_offset + 600] ^= 1
    with pytest.raises(dsb_fast.CheckpointError, match="CRC"):
        torch_file.parse(bytes(raw))


def test_legacy_file_cut_or_lengthened_is_refused():
    raw = _saved({"t": torch.zeros(1000)}, False)
    with pytest.raises(dsb_fast.CheckpointError, match="cut off"):
        torch_file.parse(raw[:-1])
    with pytest.raises(dsb_fast.CheckpointError, match="after its last storage"):
        torch_file.parse(raw + b"x")
    at = raw.index(struct.pack("<q", 1000), len(raw) - 4100)
    with pytest.raises(dsb_fast.CheckpointError, match="holds 999"):
        torch_file.parse(raw[:at] + struct.pack("<q", 999) + raw[at + 8 :])


@pytest.mark.parametrize("what", ["folder", "absent", "fifo"])
def test_what_is_no_file_is_refused(what, tmp_path):
    path = tmp_path / "thing.pt"
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    with pytest.raises(dsb_fast.DsbError):
        dsb_fast.load(path)


def test_strides_can_not_multiply_a_storage():
    with pytest.raises(dsb_fast.CheckpointError, match="storage of 1 values"):
        torch_file.parse(_saved({"t": torch.zeros(1).expand(1 << 40)}, True))


def test_values_are_read_in_the_files_byte_order():
    storage = torch_file.Storage("0", "f4", 2, lambda: struct.pack(">2f", 1.5, -2.0), ">")
    assert torch_file.Tensor(storage, 0, (2,), (1,)).numpy().tolist() == [1.5, -2.0]
    assert np.isfinite(storage.words()).all()
