"""The guard of instruction counts: what it calls worse, and that a record of every case is there."""

import importlib.util
import json
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks/instructions"


def _guard():
    spec = importlib.util.spec_from_file_location("instructions", FOLDER / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_more_instructions_than_tolerated_fail():
    compare = _guard().compare
    recorded = {"avx2": {"text": 1000, "dense": 1000}}
    assert compare({"avx2": {"text": 1029, "dense": 900}}, recorded)[1]
    lines, good = compare({"avx2": {"text": 1031, "dense": 1000}}, recorded)
    assert not good and "MORE" in lines[0] and "MORE" not in lines[1]


def test_fewer_are_said_and_a_case_without_record_fails():
    compare = _guard().compare
    lines, good = compare({"avx2": {"text": 900}}, {"avx2": {"text": 1000}})
    assert good and "fewer" in lines[0]
    lines, good = compare({"scalar": {"text": 900}}, {"avx2": {"text": 1000}})
    assert not good and "NOT RECORDED" in lines[0]


def test_every_case_is_recorded_for_every_variant():
    cases = set(re.findall(r'^    \{"(\w+)",', (FOLDER / "count.cc").read_text(), re.MULTILINE))
    counts = json.loads((FOLDER / "recorded.json").read_text())["counts"]
    assert len(cases) >= 20
    assert set(counts) == {"scalar", "avx2"} and all(set(found) == cases for found in counts.values())
