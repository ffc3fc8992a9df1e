"""Damaged and hostile NVIDIA and rosinality files: one cheap line or a valid network, and nothing else happens.

DSB_FUZZ multiplies the number of mutations (100 takes about twenty minutes); DSB_FUZZ_SEED draws others.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from dsb_fast.export import nv_pickle, nvlabs, rosinality
from hostile import corpus
from hostile.mutations import Damage, zip_with
from references import nv_network, rosinality_network

import dsb_fast

pytestmark = [
    pytest.mark.variant_independent,
    pytest.mark.filterwarnings("ignore:invalid escape sequence"),  # pickletools about text of protocol 0
]

TIMES = int(os.environ.get("DSB_FUZZ", "1"))
SEED = int(os.environ.get("DSB_FUZZ_SEED", "1"))
HARMLESS = ("builtins.id", "object.__getattr__", "object.__setattr__", "sys._getframe", "array.__new__")
_watching: list[list[str]] = []


def _audit(event: str, arguments: tuple) -> None:
    if _watching and event not in HARMLESS:
        _watching[-1].append(f"{event} {arguments[:1]}"[:200])


sys.addaudithook(_audit)  # can't be taken away again, and then only asks whether a list is empty


class Watched:
    """What Python reports of imports, files, processes, compiled text and unpickling while it is entered."""

    def __enter__(self) -> list[str]:
        self.events: list[str] = []
        _watching.append(self.events)
        return self.events

    def __exit__(self, *_):
        _watching.pop()


def _saved(value, zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


NVIDIA = {
    **{f"protocol {p}": nv_network.dumps({"G_ema": nv_network.generator()}, p, p < 3) for p in (2, 4)},
    "stylegan3 repository": nv_network.dumps({"G_ema": nv_network.generator("sg3repo")}, 3, True),
}
ROSINALITY = {
    kind: _saved({"g_ema": rosinality_network.state_dict(), "latent_avg": torch.zeros(2)}, kind == "zip")
    for kind in ("zip", "legacy")
}


def answer(raw: bytes, reader) -> str:
    """What a reader says of ``raw``: "" if it is a valid network, else its line. Anything else fails."""
    try:
        network = reader.from_tree(nv_pickle.parse(raw))
    except dsb_fast.CheckpointError as error:
        line = str(error)
        assert line and line.isprintable() and len(line) < 2000, line[:4000]
        return line
    for name, values in network.tensors.items():
        assert values.dtype == np.float32 and np.isfinite(values).all(), name
    assert sum(values.size for values in network.tensors.values()) <= len(raw)
    return ""


def _try(damaged, count: int, reader) -> dict[str, int]:
    """Read ``count`` damaged files. Returns how many were refused and how many still were networks."""
    counts = {"refused": 0, "read": 0}
    with Watched() as events:
        for index, raw in zip(range(count), damaged, strict=False):
            line = answer(raw, reader)
            assert not events, (index, events, line)
            counts["refused" if line else "read"] += 1
    return counts


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    """Everything here is read in an empty folder, which stays empty."""
    for raw in (*NVIDIA.values(), *ROSINALITY.values()):  # so that later nothing is imported for the first time
        answer(raw, nvlabs)
    "x".encode("raw_unicode_escape"), b"x".decode("cp437")
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield
    assert not list(folder.iterdir()) and [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("name", sorted(NVIDIA))
def test_the_base_files_are_networks(name):
    assert answer(NVIDIA[name], nvlabs) == ""
    for raw in ROSINALITY.values():
        assert answer(raw, rosinality) == ""


@pytest.mark.parametrize("name", sorted(NVIDIA))
def test_damaged_network_pickles(name):
    counts = _try(Damage(NVIDIA[name], SEED), 1100 * TIMES, nvlabs)
    assert counts["refused"] > 700 * TIMES and counts["read"] > 0, counts


@pytest.mark.parametrize("kind", sorted(ROSINALITY))
def test_damaged_rosinality_files(kind):
    counts = _try(Damage(ROSINALITY[kind], SEED), 1300 * TIMES, rosinality)
    assert counts["refused"] > 700 * TIMES and (counts["read"] > 0 or kind == "zip"), counts


def test_damaged_pickles_in_whole_zips():
    with zipfile.ZipFile(io.BytesIO(ROSINALITY["zip"])) as archive:
        inner = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    damage = Damage(inner, SEED)
    files = (zip_with(ROSINALITY["zip"], lambda _, raw=raw: raw) for raw in damage)
    counts = _try(files, 1300 * TIMES, rosinality)
    assert counts["refused"] > 700 * TIMES and counts["read"] > 0, counts


@pytest.mark.parametrize(
    "name", ["nv_reduce_nested.pkl", "nv_reduce_state.pkl", "reduce_legacy.pt", "reduce_plain.pkl"]
)
def test_damaged_traps(name, data):
    counts = _try(Damage((data / "unsafe" / name).read_bytes(), SEED), 1000 * TIMES, nvlabs)
    assert counts == {"refused": 1000 * TIMES, "read": 0}


@pytest.mark.parametrize("path", ["nvlabs/ada32_uncond_skip.pkl", "rosinality/size64_train.pt"])
def test_damaged_golden_files_cost_little_memory(path, data):
    raw = (data / path).read_bytes()
    reader = nvlabs if path.startswith("nvlabs") else rosinality
    answer(raw, reader)
    for _, damaged in zip(range(12 * TIMES), Damage(raw, SEED), strict=False):
        assert _peak(damaged, reader) < 6 * len(raw)


def _peak(raw: bytes, reader) -> int:
    """Bytes that reading takes beside the file."""
    tracemalloc.start()
    try:
        answer(raw, reader)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", sorted(corpus.FILES))
@pytest.mark.parametrize("reader", [nvlabs, rosinality])
def test_the_hostile_corpus_is_refused(name, reader):
    with Watched() as events:
        raw = corpus.FILES[name]()
        events.clear()  # making it is another matter
        assert answer(raw, reader) and not events


def _call(module: str, name: str, *arguments: bytes) -> bytes:
    return f"c{module}\n{name}\n(".encode() + b"".join(arguments) + b"tR"


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _bytes(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def _again(first: bytes, repeat: bytes, count: int) -> bytes:
    """A pickle whose value 1 is made once and used ``count`` times, all results kept."""
    return b"\x80\x04" + first + b"q\x010]" + repeat * count + b"."


BIG = 200_000
STORAGE = _saved(torch.zeros(BIG // 4).untyped_storage(), False)
ZIPPED = _saved(torch.zeros(BIG // 4).untyped_storage(), True)
GREEDY = {
    "list into dictionaries": _again(
        b"](" + b"(K\x01K\x02l" * (BIG // 8) + b"e", b"(ccollections\nOrderedDict\n(h\x01tRa0]", 5000
    ),
    "list into sets": _again(b"](" + b"K\x01" * BIG + b"e", b"cbuiltins\nset\n(h\x01tRa", 5000),
    "tuple into sizes": _again(b"(" + b"K\x01" * BIG + b"t", b"ctorch\nSize\n(h\x01tRa", 5000),
    "text into bytes": _again(_text("x" * BIG), b"c_codecs\nencode\n(h\x01X\x06\x00\x00\x00latin1tRa", 5000),
    "bytes into storages": _again(_bytes(STORAGE), b"ctorch.storage\n_load_from_bytes\n(h\x01tRa", 5000),
    "bytes into zip storages": _again(_bytes(ZIPPED), b"ctorch.storage\n_load_from_bytes\n(h\x01tRa", 5000),
    "dictionaries into dictionaries": _again(
        b"}(" + b"".join(b"J" + struct.pack("<i", k) + b"N" for k in range(BIG // 8)) + b"u",
        b"cdnnlib.util\nEasyDict\n(h\x01tRa", 5000,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(GREEDY))
def test_a_short_file_can_not_take_much_memory(name):
    assert _peak(GREEDY[name], nvlabs) < 40 * len(GREEDY[name])


TEXT = _text("raise SystemExit")
NUMPY = "numpy.core.multiarray"
META = {b"type": "class", b"class_name": "Generator"}
HOSTILE = {
    "program text in an unknown record": _call("torch_utils.persistence", "_src_to_module", TEXT),
    "attribute of a module": _call("torch_utils.persistence", "persistent_class", TEXT),
    "import hook": _call("torch_utils.persistence", "import_hook", TEXT),
    "array of objects": _call(NUMPY, "scalar", _call("numpy", "dtype", _text("O8")), _bytes(b"\0" * 8)),
    "number too long": _call(NUMPY, "scalar", _call("numpy", "dtype", _text("f8")), _bytes(b"\0" * 9)),
    "number of no type": _call("numpy._core.multiarray", "scalar", _text("f8"), _bytes(b"\0" * 8)),
    "storage in a storage": _call("torch.storage", "_load_from_bytes", _bytes(
        b"\x80\x02" + _call("torch.storage", "_load_from_bytes", _bytes(STORAGE[:99])) + b".")),
    "storage of a call": _call("torch.storage", "_load_from_bytes", _bytes(corpus.call_pickle())),
    "storage that is a dictionary": _call("torch.storage", "_load_from_bytes", _bytes(_saved({}, True))),
    "storage of text": _call("torch.storage", "_load_from_bytes", TEXT),
    "code of another encoding": _call("_codecs", "encode", TEXT, _text("zlib")),
    "record without a state": _call("torch_utils.persistence", "_reconstruct_persistent_obj", b"}"),
    "persistent id": TEXT + b"Q",
    "state for a record": _call("torch_utils.persistence", "_reconstruct_persistent_obj", b"}(" + b"".join(
        _text(k.decode()) + _text(v) for k, v in META.items()) + _text("version") + b"K\x06" + _text("state") + b"}u")
    + b"}" + _text("class_name") + TEXT + b"sb",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_records_are_refused(name):
    raw = b"\x80\x03}" + _text("G_ema") + HOSTILE[name] + b"s."
    with Watched() as events:
        assert answer(raw, nvlabs)
    assert not events


def test_program_text_is_never_run_or_kept():
    raw = NVIDIA["protocol 4"]
    assert nv_network.Module.source.encode() in raw
    with Watched() as events:
        tree = nv_pickle.parse(raw)
    assert not events
    assert not hasattr(tree["G_ema"], "module_src") and "SystemExit" not in repr(vars(tree["G_ema"]))


def test_the_watch_sees_what_it_should():
    with Watched() as events:
        compile("1", "text", "eval")
        pickle.loads(pickle.dumps(io.BytesIO, 2))
        with pytest.raises(OSError):
            os.open("no such file", os.O_RDONLY)
    assert [event.split()[0] for event in events if not event.startswith("import")] == [
        "compile", "pickle.find_class", "open",
    ]  # fmt: skip
