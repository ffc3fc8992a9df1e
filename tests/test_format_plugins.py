"""Formats of other packages: what an entry point may add, and that a broken one harms nothing else."""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from references.image_generator import ImageGenerator
from references.recorded_system import Killed, Quick
from references.trees import tree

import dsb_fast
from dsb_fast import formats
from dsb_fast._bulk import run, verify, writers
from dsb_fast._cli import generate

pytestmark = pytest.mark.variant_independent

DOCS = (Path(__file__).parent.parent / "docs/formats.md").read_text().partition("## Formats of your own")[2]
CODE = re.search(r"```python\n(.*?)```", DOCS, re.S)[1]
NAME, VALUE = re.search(r'entry-points\."dsb_fast\.formats"\]\n(\w+) = "(\S+)"', DOCS).groups()
SEED = 5


def make(generator, folder, count=7, *, format=NAME, how=None, **format_options):
    """A small dataset in ``folder``."""
    recipe, chosen, format_ = run.make_recipe(
        generator, count, SEED, format=format, shard_size=3, format_options=format_options
    )
    return run.generate_dataset(generator, str(folder), recipe, chosen, format_, **(how or {}))


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("-2.5", -2.5), ("true", True), ("none", None), ("a=b", "a=b"), ("nan", "nan"), ("", ""),
     ("9" * 400, "9" * 400), ("9" * 9999, "9" * 9999)],
)  # fmt: skip
def test_format_options_of_the_command_line(text, value):
    name, found = generate._pair(f"x={text}")
    assert (name, found) == ("x", value) and type(found) is type(value)
    with pytest.raises(dsb_fast.InputError, match="NAME=VALUE"):
        generate._pair(f"={text}")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with entry points, importable and with its metadata, as pip would install it; returns where it is."""
    place = tmp_path / "site"
    place.mkdir()
    monkeypatch.syspath_prepend(place)

    def install(points: dict[str, str], code: str) -> Path:
        (place / "raw_samples.py").write_text(code)
        info = place / "raw_samples-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: raw-samples\nVersion: 1.0\n")
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        (info / "entry_points.txt").write_text("[dsb_fast.formats]\n" + lines)
        monkeypatch.delitem(sys.modules, "raw_samples", raising=False)
        importlib.invalidate_caches()
        writers._added.cache_clear()
        return place

    yield install
    writers._added.cache_clear()


@pytest.fixture
def raw(package):
    """The example of docs/formats.md, installed."""
    return package({NAME: VALUE}, CODE)


def test_the_example_of_the_docs_holds_samples(raw, generator, tmp_path, caplog):
    assert writers.names()[-1] == NAME and writers.find(NAME, "signal").name == NAME
    for name, made in (("ecg", generator), ("image", ImageGenerator())):
        make(made, tmp_path / name)
        assert sorted(tree(tmp_path / name)) == ["000000000.raw", "000000003.raw", "000000006.raw", "dataset.json"]
        stored = b"".join((tmp_path / name / f"{k:09d}.raw").read_bytes() for k in (0, 3, 6))
        assert stored == made.sample(7, seed=SEED).tobytes()
        assert verify.verify_dataset(str(tmp_path / name))["samples"] == 7
    assert verify.verify_dataset(str(tmp_path / "ecg"), sample=3)["made_again"] == 3
    assert not caplog.records


def test_its_options_are_its_own(raw, generator, tmp_path):
    make(generator, tmp_path / "d", byte_order="big")
    stored = np.frombuffer((tmp_path / "d/000000003.raw").read_bytes(), ">i2").reshape(3, 8, 5000)
    assert (stored == generator.sample(3, seed=SEED, start=3)).all()
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == 7
    with pytest.raises(dsb_fast.DatasetError, match="format_options"):
        make(generator, tmp_path / "d")
    for options, words in (({"byte_order": "middle"}, "little or big"), ({"colour": 1}, "no option is called colour")):
        with pytest.raises(dsb_fast.InputError, match=words):
            make(generator, tmp_path / "e", **options)
    assert not (tmp_path / "e").exists()


def test_its_datasets_are_resumed_and_extended(raw, tmp_path):
    made, system = ImageGenerator(8), Quick()
    make(made, tmp_path / "whole", how={"system": system})
    for stop_at in range(0, len(system.log), 3):
        folder = tmp_path / f"d{stop_at}"
        with pytest.raises(Killed):
            make(made, folder, how={"system": Quick(stop_at, Killed())})
        make(made, folder, how={"system": Quick()})
        assert tree(folder) == tree(tmp_path / "whole"), f"stopped at call {stop_at}"
    make(made, tmp_path / "longer", 5, how={"batch_size": 2})
    make(made, tmp_path / "longer", 7, how={"extend": True})
    assert tree(tmp_path / "longer") == tree(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["shorter", "longer", "changed"])
def test_damage_is_found(raw, tmp_path, damage):
    make(ImageGenerator(8), tmp_path / "d")
    path = tmp_path / "d/000000003.raw"
    whole = path.read_bytes()
    path.write_bytes({"shorter": whole[:-9], "longer": whole + b"\0", "changed": b"\1\2" + whole[2:]}[damage])
    with pytest.raises(dsb_fast.VerificationError, match="shard 000000003") as caught:
        verify.verify_dataset(str(tmp_path / "d"))
    assert "\n" not in str(caught.value)
    format_, shard = writers.find(NAME)(formats.FormatContext((8, 8, 3), "uint8")), formats.Shard(3, 3)
    if damage != "changed":
        with pytest.raises(ValueError), open(path, "rb") as file:
            list(format_.decode([file], shard))


def test_the_command_knows_it(raw, process, generator, one_line, tmp_path):
    env = {"PYTHONPATH": os.pathsep.join([str(raw), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}
    arguments = ("generate", "cardiovascular.ecg", "-n", 4, "-o", "d", "--seed", SEED, "--shard-size", 2, "--quiet",
                 "--device", "cpu", "--format", NAME)  # fmt: skip
    process(*arguments, "--workers", 2, env=env, check=0)
    stored = b"".join((tmp_path / f"d/{k:09d}.raw").read_bytes() for k in (0, 2))
    assert stored == generator.sample(4, seed=SEED).tobytes()
    process("verify", "d", "--sample", 2, env=env, check=0)
    process(*arguments, "--overwrite", "--format-option", "byte_order=big", env=env, check=0)
    stored = b"".join((tmp_path / f"d/{k:09d}.raw").read_bytes() for k in (0, 2))
    assert stored == generator.sample(4, seed=SEED).astype(">i2").tobytes()
    process("verify", "d", env=env, check=0)
    for given, words in (("byte_order", "NAME=VALUE"), ("colour=none", "no option is called colour")):
        assert words in one_line(process(*arguments, "--format-option", given, env=env), 2)
    without = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    assert "'raw' is not known" in one_line(process(*arguments, env=without), 2)
    assert "'raw' is not known" in one_line(process("verify", "d", env=without), 2)


BROKEN = f"""
{CODE}
class Other(RawFormat):
    name = "another"
class Npy(RawFormat):
    name = "npy"
class NoSuffix(Format):
    name = "nosuffix"
    def encode(self, samples, first=0): return []
    def decode(self, files, shard): return iter(())
class Half(Format):
    name, suffixes, file_per_sample = "half", (".half",), False
    def encode(self, samples, first=0): return []
number = 3
def __getattr__(name):
    if name == "leaving":
        raise SystemExit(3)
    if name == "broken":
        raise RuntimeError("two\\nlines")
    raise AttributeError(f"no attribute {{name!r}}")
"""


def test_broken_ones_are_reported_once_and_harm_no_other(package, caplog, tmp_path):
    points = {
        "other": "raw_samples:Other", "npy": "raw_samples:Npy", "nosuffix": "raw_samples:NoSuffix",
        "half": "raw_samples:Half", "number": "raw_samples:number", "leaving": "raw_samples:leaving",
        "broken": "raw_samples:broken", "missing": "raw_samples:missing", "nowhere": "no_such_package_here:Format",
        "raw": "raw_samples:RawFormat",
    }  # fmt: skip
    own = list(writers._OWN)
    package(points, BROKEN)
    with caplog.at_level(logging.WARNING, "dsb_fast"):
        assert writers.names() == [*own, "raw"]
        assert writers.names() == [*own, "raw"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(points) - 1 and all("\n" not in line and "left out" in line for line in said)
    for words in (
        "its name is 'another'", "the name npy is taken", "suffixes (a tuple)", "decode is missing",
        "number = raw_samples:number: no subclass", "leaving = raw_samples:leaving: 3", "two lines",
        "no attribute 'missing'", "no_such_package_here",
    ):  # fmt: skip
        assert sum(words in line for line in said) == 1, (words, said)
    with pytest.raises(dsb_fast.InputError, match="'half' is not known"):
        make(ImageGenerator(), tmp_path / "d", format="half")
    assert make(ImageGenerator(), tmp_path / "d", format="npy") is True


def test_one_that_raises_when_imported_is_left_out(package, caplog):
    package({NAME: VALUE}, "raise ImportError('no such library')")
    with caplog.at_level(logging.WARNING, "dsb_fast"), pytest.raises(dsb_fast.InputError, match="'raw' is not known"):
        writers.find(NAME)
    assert [r.getMessage() for r in caplog.records] == [
        f"entry point {NAME} = {VALUE}: no such library; this format is left out"
    ]


def test_own_formats_ask_no_other_package(package, tmp_path):
    package({NAME: VALUE}, "raise SystemExit('imported')")
    assert make(ImageGenerator(), tmp_path / "d", format="png") is True
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == 7 and "raw_samples" not in sys.modules


def test_public_names():
    assert sorted(formats.__all__) == ["Format", "FormatContext", "IMAGE", "Plan", "SIGNAL", "Shard"]
    assert all(f"`{name}`" in DOCS for name in formats.__all__)
