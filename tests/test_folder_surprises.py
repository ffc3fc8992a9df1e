"""What somebody, or something, does to a folder or a process while or before a run works there."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading

import pytest
from references.recorded_system import RecordedSystem
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import run, verify
from dsb_fast._bulk.failures import in_words
from dsb_fast._bulk.merge import merge

pytestmark = pytest.mark.variant_independent


def make(folder, count=6, *, format="npy", shard_size=2, start=0, seed=5, system=None, **how):
    recipe, options, format_ = run.make_recipe(
        SignalGenerator(), count, seed, start, format=format, shard_size=shard_size
    )
    return run.generate_dataset(SignalGenerator(), str(folder), recipe, options, format_, system=system, **how)


HALF = {"npy": ".dsb-tmp-000000000.npy", "asc": ".dsb-tmp-3.asc", "dummy": ".dsb-tmp-dataset.json"}


class Swapped(RecordedSystem):
    """At call ``moment`` the folder is moved away, and another run makes its dataset of other samples there."""

    def __init__(self, folder, moment, format):
        super().__init__()
        self.folder, self.moment, self.format = folder, moment, format

    def _step(self, name, arguments, real):
        if len(self.log) == self.moment:
            self.moment = -1
            self.folder.rename(self.folder.with_name("moved"))
            make(self.folder, seed=6, format=self.format)
            (self.folder / HALF[self.format]).write_bytes(b"of the other run, which goes on")
        return super()._step(name, arguments, real)


@pytest.mark.parametrize("format", ["npy", "asc", "dummy"])
def test_a_run_whose_folder_was_replaced_leaves_the_other_alone(tmp_path, format):
    whole = RecordedSystem()
    make(tmp_path / "whole", format=format, shard_size=6, system=whole)
    make(tmp_path / "other", seed=6, format=format)
    begun = next(k for k, (name, _) in enumerate(whole.log) if name == "append")  # the journal is open
    for moment in range(begun + 1, len(whole.log) - 1):
        if whole.log[moment][0] in ("rename", "unlink"):  # between the check and what it is for
            continue
        folder = tmp_path / f"{moment}" / "d"
        folder.parent.mkdir()
        try:
            make(folder, format=format, shard_size=6, system=Swapped(folder, moment, format))
        except dsb_fast.GenerationError as error:
            assert "\n" not in str(error)
        other = tree(folder)
        assert other[HALF[format]] == b"of the other run, which goes on"
        other = {name: data for name, data in other.items() if not name.startswith(".dsb-tmp-")}
        assert other == tree(tmp_path / "other"), (moment, whole.log[moment])


def test_a_run_whose_folder_was_removed_says_so(tmp_path):
    class Removed(RecordedSystem):
        def _step(self, name, arguments, real):
            if name == "write" and self._paths[arguments[0]].endswith(".npy") and (tmp_path / "d").exists():
                (tmp_path / "d").rename(tmp_path / "moved")
            return super()._step(name, arguments, real)

    with pytest.raises(dsb_fast.GenerationError, match=r"d: was moved, removed"):
        make(tmp_path / "d", system=Removed())


def _pipe(path):
    os.mkfifo(path)


def _endless(path):
    path.symlink_to("/dev/zero")


def _loop(path):
    path.symlink_to(path.name)


@pytest.mark.parametrize("put", [_pipe, _endless, _loop])
@pytest.mark.parametrize("name", ["000000002.npy", "0.asc"])
def test_what_is_no_file_in_the_place_of_a_shard_is_mended(tmp_path, put, name):
    format = name.partition(".")[2]
    make(tmp_path / "d", format=format)
    expected = tree(tmp_path / "d")
    (tmp_path / "d" / name).unlink()
    put(tmp_path / "d" / name)
    with pytest.raises(dsb_fast.VerificationError, match="missing files"):
        verify.verify_dataset(str(tmp_path / "d"))
    assert make(tmp_path / "d", format=format)
    assert tree(tmp_path / "d") == expected


@pytest.mark.parametrize("put", [_pipe, _endless, _loop])
def test_what_is_no_file_in_the_place_of_manifest_or_journal(tmp_path, put):
    make(tmp_path / "d")
    (tmp_path / "d/dataset.json").unlink()
    put(tmp_path / "d/dataset.json")
    for call in (make, lambda folder: verify.verify_dataset(str(folder))):
        with pytest.raises(dsb_fast.DatasetError, match="dataset"):
            call(tmp_path / "d")
    make(tmp_path / "e", count=2)
    manifest = json.loads((tmp_path / "e/dataset.json").read_text())
    (tmp_path / "e/dataset.json").write_text(json.dumps({**manifest, "complete": False, "shards": []}))
    put(tmp_path / "e/dataset.journal")
    assert make(tmp_path / "e", count=2) and sorted(tree(tmp_path / "e")) == ["000000000.npy", "dataset.json"]


def test_a_folder_in_the_place_of_a_shard_is_named_as_the_user_knows_it(tmp_path):
    make(tmp_path / "d")
    (tmp_path / "d/000000002.npy").unlink()
    (tmp_path / "d/000000002.npy").mkdir()
    with pytest.raises(dsb_fast.GenerationError, match=r"d/000000002\.npy: Is a directory"):
        make(tmp_path / "d")


@pytest.mark.parametrize("value", [None, 1, "true", ...])
def test_a_manifest_that_does_not_say_whether_it_is_complete_is_refused(tmp_path, value):
    make(tmp_path / "d")
    manifest = json.loads((tmp_path / "d/dataset.json").read_text())
    manifest["complete"] = value
    if value is ...:
        del manifest["complete"]
    (tmp_path / "d/dataset.json").write_text(json.dumps(manifest))
    for call in (make, lambda folder: verify.verify_dataset(str(folder))):
        with pytest.raises(dsb_fast.DatasetError, match="complete is missing"):
            call(tmp_path / "d")


@pytest.mark.parametrize(("key", "value"), [("sample_shape", [8, float("inf")]), ("sampling_rate_hz", 10**400)])
def test_numbers_of_a_manifest_that_no_machine_has_are_damage(tmp_path, key, value):
    make(tmp_path / "d")
    expected = tree(tmp_path / "d")
    manifest = json.loads((tmp_path / "d/dataset.json").read_text())
    (tmp_path / "d/dataset.json").write_text(json.dumps({**manifest, key: value}))
    with pytest.raises(dsb_fast.DatasetError, match="damaged"):
        verify.verify_dataset(str(tmp_path / "d"))
    assert make(tmp_path / "d", overwrite=True) and tree(tmp_path / "d") == expected


def test_a_manifest_with_half_a_character_is_refused(tmp_path):
    make(tmp_path / "d")
    text = (tmp_path / "d/dataset.json").read_text()
    (tmp_path / "d/dataset.json").write_text(text.replace("Test ECGs", "\\ud800"))
    with pytest.raises(dsb_fast.DatasetError, match="damaged"):
        merge([str(tmp_path / "d")], str(tmp_path / "m"))
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(("format", "largest"), [("parquet", 2**63 - 1), ("hdf5", 2**63 - 1), ("npy", 2**64 - 1)])
def test_numbers_that_a_format_can_not_hold_are_refused_before_work_begins(tmp_path, format, largest):
    pytest.importorskip({"parquet": "pyarrow", "hdf5": "h5py"}.get(format, "numpy"))
    assert make(tmp_path / "d", start=largest - 5, format=format)
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == 6
    with pytest.raises(dsb_fast.InputError, match=str(largest)):
        make(tmp_path / "e", start=largest - 4, format=format)
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_system_without_threads_to_give_is_one_line_and_the_run_goes_on(tmp_path, monkeypatch, after):
    make(tmp_path / "whole")
    start, left = threading.Thread.start, [after]

    def limited(thread):
        if left[0] == 0:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(dsb_fast.GenerationError, match="no more threads can be started") as refused:
        make(tmp_path / "d")
    assert "\n" not in str(refused.value)
    monkeypatch.undo()
    assert make(tmp_path / "d") and tree(tmp_path / "d") == tree(tmp_path / "whole")


def test_an_error_without_a_name_is_called_after_the_folder():
    assert in_words(OSError(28, "No space left on device"), "out").startswith("out: No space left on device; ")


def test_a_file_elsewhere_that_can_not_be_read_is_not_said_of_the_folder():
    text = in_words(PermissionError(errno.EACCES, "Permission denied", "part/0.asc"), "out")
    assert text.startswith("part/0.asc: Permission denied; ")


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EEXIST])
def test_a_temporary_file_that_comes_or_goes_by_itself_hints_at_another_run(number):
    text = in_words(OSError(number, "So it is", "out/.dsb-tmp-3.asc", None, "out/3.asc"), "out")
    assert text.startswith("out/.dsb-tmp-3.asc (is another run at work in this folder?): So it is; ")


def test_closed_standard_streams_take_no_file_of_the_dataset(command, generator):
    """As a service may be started: the first files opened would become descriptors 0, 1 and 2."""
    made = ["generate", "cardiovascular.ecg", "-n", "4", "--shard-size", "2", "--format", "npy", "--device", "cpu"]
    made.append("--stats")
    command(*made, "-o", "whole", check=0)
    for folder, *more in (("one",), ("two", "--workers", "2")):
        words = [sys.executable, "-m", "dsb_fast", *made, "-o", folder, *more]
        closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words]
        assert subprocess.run(closed, cwd=command.folder, check=False, timeout=120).returncode == 0
        assert tree(command.folder / folder) == tree(command.folder / "whole")


@pytest.mark.parametrize("place", ["", "s3:/bucket/d", "file:/d"])
def test_places_that_nobody_means_are_refused(tmp_path, monkeypatch, place):
    make(tmp_path / "d")
    monkeypatch.chdir(tmp_path / "d")
    for call in (make, verify.verify_dataset, lambda place: merge([place], "../m"), lambda place: merge(["."], place)):
        with pytest.raises(dsb_fast.DatasetError, match=r"give one|two slashes") as refused:
            call(place)
        assert "\n" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d"] and "s3:" not in os.listdir(".")
