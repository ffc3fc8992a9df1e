"""verify --sample measures labels anew: whatever the format, a label that is not the sample's is found."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pytest
from references.image_generator import ImageGenerator
from references.recorded_system import RecordedSystem
from references.signal_generator import SignalGenerator

import dsb_fast
from dsb_fast._bulk import run, verify, writers
from dsb_fast._bulk.plan import Shard
from dsb_fast._bulk.writers.labels import labels_of_text
from dsb_fast._filter.selection import Selection

pytestmark = pytest.mark.variant_independent

COUNT = 7
SOURCES = {writers.SIGNAL: SignalGenerator, writers.IMAGE: lambda: ImageGenerator(8)}
NAMES = {writers.SIGNAL: ["noise_uv", "range_uv", "heart_rate_bpm"], writers.IMAGE: ["mean_grey", "contrast_grey"]}
CASES = [(kind, name) for kind in SOURCES for name in writers.names(kind) if name != "dummy"]


class Quick(RecordedSystem):
    """Waits for no disk."""

    def _do(self, name, arguments, real):
        return None if name.startswith("sync") else super()._do(name, arguments, real)


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A dataset whose samples have a first label one bit off, if so asked."""

    def of(kind, name, wrong=False, **recipe):
        monkeypatch.setattr("dsb_fast._api.load", lambda *_, **__: SOURCES[kind]())
        generator, of_batch = SOURCES[kind](), Selection.of_batch

        def labelled(self, samples):
            kept, labels = of_batch(self, samples)
            first = self.annotate[0]
            return kept, {**labels, first: np.nextafter(labels[first], np.inf)}

        recipe = {"annotate": NAMES[kind], "shard_size": 3, **recipe}
        recipe, options, format_ = run.make_recipe(generator, COUNT, 5, 8, name, **recipe)
        with monkeypatch.context() as patch:
            if wrong:
                patch.setattr(Selection, "of_batch", labelled)
            run.generate_dataset(generator, str(tmp_path / "d"), recipe, options, format_, system=Quick())
        return tmp_path / "d"

    return of


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_labels_are_measured_anew_in_every_format(make, kind, name):
    folder = make(kind, name, wrong=True)
    assert verify.verify_dataset(str(folder))["samples"] == COUNT  # the bytes are those that were written
    with pytest.raises(
        dsb_fast.VerificationError, match=f"has the label {NAMES[kind][0]} .*, measured it is"
    ) as raised:
        verify.verify_dataset(str(folder), COUNT)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_right_labels_pass(make, kind, name):
    assert verify.verify_dataset(str(make(kind, name)), COUNT)["made_again"] == COUNT


def test_on_another_machine_labels_are_still_those_of_the_stored_samples(make):
    folder = make(writers.SIGNAL, "parquet", wrong=True)
    manifest = json.loads((folder / "dataset.json").read_text())
    manifest["grade"] = "near"
    (folder / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(dsb_fast.VerificationError, match="has the label noise_uv"):
        verify.verify_dataset(str(folder), COUNT)


TABLES = ["", "index,a\n3,1.0\n", "index,a\n4,1.0\n5,2.0\n", "index,a\n3,1.0\n4,x\n", "index,b\n3,1.0\n4,1.0\n",
          "index,a\n3,1.0\n4,1.0\n5,1.0\n", "index,a\n3\n4\n"]  # fmt: skip


@pytest.mark.parametrize("text", TABLES)
def test_a_table_that_is_not_what_was_written_is_no_table(text):
    with pytest.raises(ValueError):
        labels_of_text(BytesIO(text.encode()), Shard(3, 2), ("a",))
    found = labels_of_text(BytesIO(b"index,a\n3,\n4,0.1\n"), Shard(3, 2), ("a",))
    assert np.isnan(found["a"][0]) and found["a"][1] == 0.1


def test_another_version_of_a_measurement(make):
    folder = make(writers.SIGNAL, "npy")
    manifest = json.loads((folder / "dataset.json").read_text())
    manifest["measurements"]["noise_uv"] += 1
    (folder / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(dsb_fast.InputError, match="noise_uv was of version"):
        verify.verify_dataset(str(folder), 1)
