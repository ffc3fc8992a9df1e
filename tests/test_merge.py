"""Parts joined: the bytes of one run, whatever the order, nothing lost, and refused where they do not fit."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references.image_generator import ImageGenerator
from references.recorded_system import Killed, Quick
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import part, regenerate, run, verify, writers
from dsb_fast._bulk.merge import merge

pytestmark = pytest.mark.variant_independent

CASES = [(kind, name, "link") for kind in (writers.SIGNAL, writers.IMAGE) for name in writers.names(kind)]
CASES += [(writers.SIGNAL, name, how) for name in ("npy", "wfdb") for how in ("copy", "no links", "move")]


class NoLinks(Quick):
    """A file system that knows no hard links."""

    def _do(self, name, arguments, real):
        if name == "link":
            raise OSError(errno.EPERM, "Operation not permitted")
        return super()._do(name, arguments, real)


def make(folder, count=10, shards=None, *, format="npy", kind=writers.SIGNAL, seed=5, **how):
    """A small dataset in shards of two, or the part of it that ``shards`` (first, end) are."""
    generator = SignalGenerator() if kind == writers.SIGNAL else ImageGenerator(8)
    recipe, options, format_ = run.make_recipe(generator, count, seed, format=format, shard_size=2)
    recipe = part.part_recipe(recipe, *shards) if shards else recipe
    return run.generate_dataset(generator, str(folder), recipe, options, format_, system=Quick(), **how)


def make_parts(folder, ranges, count=10, **what):
    """One part a range, made in random order; their folders."""
    folders = {shards: str(folder / f"{shards[0]}-{shards[1]}") for shards in ranges}
    for shards in random.Random(1).sample(ranges, len(ranges)):
        make(folders[shards], count, shards, **what)
    return list(folders.values())


@pytest.mark.parametrize(("kind", "name", "how"), CASES)
def test_ten_parts_in_random_order_are_one_run(tmp_path, kind, name, how):
    make(tmp_path / "whole", 29, kind=kind, format=name)
    expected = tree(tmp_path / "whole")
    recipe = {"start": 0, "count": 29, "shard_size": 2}
    ranges = [part.range_of_part(recipe, k, 10) for k in range(10)]
    parts = make_parts(tmp_path / "parts", ranges, 29, kind=kind, format=name)
    before = tree(tmp_path / "parts")
    random.Random(2).shuffle(parts)
    system = NoLinks() if how == "no links" else Quick()
    seen = []
    done = merge(
        parts, str(tmp_path / "d"), copy=how == "copy", move=how == "move", system=system,
        progress=lambda *numbers: seen.append(numbers),
    )  # fmt: skip
    assert seen[0] == (0, 29) and seen[-1] == (29, 29) and len(seen) == 16
    assert tree(tmp_path / "d") == expected
    assert (done.samples, done.shards, done.parts) == (29, 15, 10)
    assert done.copied == (15 if how in ("copy", "no links") and name != "dummy" else 0)
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == 29
    if how == "move":
        assert os.listdir(tmp_path / "parts") == [] and done.removed == 10
    else:
        assert tree(tmp_path / "parts") == before and done.removed == 0
        assert merge(parts, str(tmp_path / "d"), system=Quick()) is None
    of_shards = {name.partition("/")[2] for name in before} - {"dataset.json"}
    assert {os.stat(tmp_path / "d" / name).st_nlink for name in of_shards} <= {2 if how == "link" else 1}


@given(st.sets(st.integers(1, 12)), st.randoms())
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_split_in_any_order(tmp_path_factory, cuts, order):
    folder = tmp_path_factory.mktemp("set")
    ranges = list(zip([0, *sorted(cuts)], [*sorted(cuts), 13], strict=True))
    parts = make_parts(folder / "parts", ranges, 25)
    order.shuffle(parts)
    merge(parts, str(folder / "d"), system=Quick())
    make(folder / "whole", 25)
    assert tree(folder / "d") == tree(folder / "whole")


def test_a_merged_dataset_is_like_any_other(tmp_path):
    parts = make_parts(tmp_path / "parts", [(0, 2), (2, 4)], 7)
    kept = tree(tmp_path / "parts")
    merge(parts, str(tmp_path / "d"))
    make(tmp_path / "whole", 7)
    make(tmp_path / "long", 12)
    assert make(tmp_path / "d", 7) is False
    make(tmp_path / "d", 12, extend=True)
    assert tree(tmp_path / "d") == tree(tmp_path / "long")
    make(tmp_path / "d", 7, overwrite=True)
    assert tree(tmp_path / "d") == tree(tmp_path / "whole")
    assert tree(tmp_path / "parts") == kept  # files are replaced, never written to: a second name keeps its bytes


def fit(tmp_path, spoil=None):
    """Two parts that fit, changed by ``spoil``; the error of joining them, which leaves them and makes nothing."""
    parts = make_parts(tmp_path / "parts", [(0, 2), (2, 5)])
    parts = (spoil and spoil(parts)) or parts
    before = tree(tmp_path / "parts")
    with pytest.raises(dsb_fast.DsbError) as error:
        merge(parts, str(tmp_path / "d"), move=True)
    assert tree(tmp_path / "parts") == before
    assert "\n" not in str(error.value)
    return error.value


def made_anew(folder, *arguments, **what):
    shutil.rmtree(folder)
    make(folder, *arguments, **what)


def changed(path, **entries):
    with open(path) as file:
        manifest = json.load(file)
    with open(path, "w") as file:
        json.dump({**manifest, **entries}, file)


def unfinished(folder):
    shutil.rmtree(folder)
    with pytest.raises(Killed):
        recipe, options, format_ = run.make_recipe(SignalGenerator(), 10, 5, format="npy", shard_size=2)
        recipe = part.part_recipe(recipe, 2, 5)
        system = Quick(30, Killed())
        run.generate_dataset(SignalGenerator(), folder, recipe, options, format_, system=system)


@pytest.mark.parametrize(
    ("spoil", "message", "status"),
    [
        (lambda p: p[:1], "no part has shards 2 to 4, of 0 to 4; --shard-range 2:5 makes them", 2),
        (lambda p: p[1:], "no part has shards 0 to 1, of 0 to 4; --shard-range 0:2 makes them", 2),
        (lambda p: made_anew(p[1], 10, (1, 5)), "shards 1 to 1 are in", 2),
        (lambda p: [*p, p[0]], "shards 0 to 1 are in", 2),
        (lambda p: made_anew(p[1], 10), "shards 0 to 1 are in", 2),
        (lambda p: made_anew(p[1], 10, (2, 5), seed=6), "seed was 5, now 6", 2),
        (lambda p: made_anew(p[1], 11, (2, 5)), "count was 10, now 11", 2),
        (lambda p: made_anew(p[1], 10, (2, 5), format="asc"), "format was", 2),
        (lambda p: changed(p[1] + "/dataset.json", depends_on={"onnxruntime": "2"}), "depends_on", 2),
        (lambda p: changed(p[1] + "/dataset.json", engine_version="9", shard_range=[0, 3]), "shard_range|shard 0", 2),
        (lambda p: shutil.rmtree(p[1]), "2-5: no dataset.json", 2),
        (lambda p: [p[0], __file__], "not a folder", 2),
        (lambda p: unfinished(p[1]), "unfinished", 2),
        (lambda p: (os.unlink(p[1] + "/000000006.npy"), None)[1], "shard 000000006.npy has missing files", 1),
        (lambda p: os.truncate(p[1] + "/000000006.npy", 500), "does not have the recorded bytes", 1),
        (lambda p: (os.unlink(p[1] + "/000000006.npy"), os.mkfifo(p[1] + "/000000006.npy"))[1], "is no file", 1),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_refused(tmp_path, spoil, message, status):
    error = fit(tmp_path, spoil)
    assert error.exit_status == status
    assert any(word in str(error) for word in message.split("|")), error
    assert status == 1 or not (tmp_path / "d").exists()


def test_a_damaged_part_is_mended_and_the_merge_goes_on(tmp_path):
    make(tmp_path / "whole")
    fit(tmp_path, lambda p: os.truncate(p[1] + "/000000006.npy", 500))
    assert sorted(os.listdir(tmp_path / "d")) == [
        "000000000.npy", "000000002.npy", "000000004.npy", "dataset.journal", "dataset.json",
    ]  # fmt: skip
    make(tmp_path / "parts/2-5", 10, (2, 5))
    merge([str(tmp_path / "parts" / name) for name in ("0-2", "2-5")], str(tmp_path / "d"))
    assert tree(tmp_path / "d") == tree(tmp_path / "whole")


def test_where_it_goes(tmp_path):
    parts = make_parts(tmp_path / "parts", [(0, 2), (2, 5)])
    before = tree(tmp_path)
    for folder, how, word in ((parts[0] + "/../0-2", {}, "a part"), (parts[1], {"overwrite": True}, "a part"),
                              (str(tmp_path), {}, "not empty"), (str(tmp_path / "d"), {"move": True, "overwrite": True},
                                                                 "lose")):  # fmt: skip
        with pytest.raises(dsb_fast.InputError, match=word):
            merge(parts, folder, **how)
    assert tree(tmp_path) == before
    make(tmp_path / "d", seed=6)
    (tmp_path / "d/notes.txt").write_text("mine")
    with pytest.raises(dsb_fast.DatasetError, match="seed was 6, now 5"):
        merge(parts, str(tmp_path / "d"))
    merge(parts, str(tmp_path / "d"), overwrite=True)
    make(tmp_path / "whole")
    assert tree(tmp_path / "d") == {**tree(tmp_path / "whole"), "notes.txt": b"mine"}


def test_a_shard_that_is_there_with_other_bytes_is_not_taken_for_the_part_s(tmp_path):
    """As near grades can make them: then a part that is moved would be lost."""
    parts = make_parts(tmp_path / "parts", [(0, 2), (2, 5)])
    make(tmp_path / "d", seed=6)
    changed(tmp_path / "d/dataset.json", seed=5)
    before = tree(tmp_path)
    with pytest.raises(dsb_fast.DatasetError, match="other bytes than in"):
        merge(parts, str(tmp_path / "d"), move=True)
    assert tree(tmp_path) == before


def test_links_to_files_are_copied_and_foreign_files_stay(tmp_path):
    parts = make_parts(tmp_path / "parts", [(0, 2), (2, 5)])
    shutil.move(parts[0] + "/000000002.npy", tmp_path / "elsewhere.npy")
    os.symlink(tmp_path / "elsewhere.npy", parts[0] + "/000000002.npy")
    (tmp_path / "parts/0-2/slurm.log").write_text("log")
    assert merge(parts, str(tmp_path / "d"), move=True).copied == 1
    make(tmp_path / "whole")
    assert tree(tmp_path / "d") == tree(tmp_path / "whole") and not (tmp_path / "d/000000002.npy").is_symlink()
    assert os.listdir(tmp_path / "parts") == ["0-2"] and os.listdir(tmp_path / "parts/0-2") == ["slurm.log"]


FAULTS = {
    "killed": lambda k: Quick(k, Killed()),
    "input/output error": lambda k: Quick(k, OSError(errno.EIO, "Input/output error")),
}


HOW = [(fault, "npy", how) for fault in FAULTS for how in ("link", "copy", "move")] + [("killed", "wfdb", "move")]


@pytest.mark.parametrize(("fault", "name", "how"), HOW)
def test_every_call_fails_in_turn(tmp_path, name, fault, how):
    """Whatever fails, no sample is lost at any time, and the same merge ends as if nothing had."""
    parts = make_parts(tmp_path / "parts", [(0, 1), (1, 2)], 3, format=name)
    make(tmp_path / "whole", 3, format=name)
    expected, given_parts = tree(tmp_path / "whole"), tree(tmp_path / "parts")
    samples = {name: data for name, data in expected.items() if not name.startswith(("dataset", "RECORDS"))}
    arguments = {"copy": how == "copy", "move": how == "move"}
    shutil.copytree(tmp_path / "parts", tmp_path / "kept")
    whole = Quick()
    merge(parts, str(tmp_path / "all"), **arguments, system=whole)
    assert len(whole.log) > 20
    for k, (call, target) in enumerate(whole.log):
        shutil.rmtree(tmp_path / "parts")
        shutil.copytree(tmp_path / "kept", tmp_path / "parts")
        folder = tmp_path / f"{k}"
        try:
            merge(parts, str(folder), **arguments, system=FAULTS[fault](k))
        except Killed:
            assert fault == "killed"
        except dsb_fast.GenerationError as error:
            assert fault != "killed" and "\n" not in str(error) and "goes on" in str(error)
        else:
            assert call in ("close", "unlink", "remove_directory"), (call, target)
        there = {os.path.basename(n): d for n, d in [*tree(tmp_path / "parts").items(), *tree(folder).items()]}
        assert samples.items() <= there.items(), f"{fault} at call {k}, {call} {target}"
        merge(parts, str(folder), **arguments, system=Quick())
        assert tree(folder) == expected, f"{fault} at call {k}, {call} {target}"
        assert tree(tmp_path / "parts") == ({} if how == "move" else given_parts)
        assert how != "move" or os.listdir(tmp_path / "parts") == []


class Interrupted(Quick):
    """The user presses Ctrl-C while the fourth file is linked."""

    def _do(self, name, arguments, real):
        if name == "link" and sum(call == "link" for call, _ in self.log) == 4:
            signal.raise_signal(signal.SIGINT)
        return super()._do(name, arguments, real)


def test_interrupted_it_leaves_nothing_half_done_and_goes_on(tmp_path, monkeypatch):
    parts = make_parts(tmp_path / "parts", [(0, 2), (2, 5)], format="wfdb")
    before, handler = tree(tmp_path / "parts"), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            merge(parts, str(tmp_path / "d"), system=Interrupted())
    finally:
        signal.signal(signal.SIGINT, handler)
    assert not [name for name in os.listdir(tmp_path / "d") if name.startswith(".dsb-tmp")]
    assert tree(tmp_path / "parts") == before
    merge(parts, str(tmp_path / "d"))
    make(tmp_path / "whole", format="wfdb")
    assert tree(tmp_path / "d") == tree(tmp_path / "whole")


def test_a_dataset_that_is_damaged_while_its_parts_are_removed(tmp_path):
    parts = make_parts(tmp_path / "parts", [(0, 2), (2, 5)])
    merge(parts, str(tmp_path / "d"), copy=True)
    shutil.rmtree(parts[0])
    os.truncate(tmp_path / "d/000000006.npy", 9)
    merge(parts, str(tmp_path / "d"), move=True)  # what it lacks is in the part that is there
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == 10 and os.listdir(tmp_path / "parts") == []
    os.truncate(tmp_path / "d/000000006.npy", 9)
    with pytest.raises(dsb_fast.VerificationError, match="shard 000000006 is damaged, and the part with it is gone"):
        merge(parts, str(tmp_path / "d"), move=True)
    make(tmp_path / "d")
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == 10


def test_more_shards_than_a_manifest_holds(tmp_path, monkeypatch):
    parts = make_parts(tmp_path / "parts", [(0, 2), (2, 5)])
    monkeypatch.setattr("dsb_fast._bulk.merge.MAX_SHARDS", 4)
    with pytest.raises(dsb_fast.DatasetError, match="5 shards are more"):
        merge(parts, str(tmp_path / "d"))


def test_the_command(command, one_line, generator):
    words = ["generate", "cardiovascular.ecg", "-n", 9, "--shard-size", 2, "--format", "asc", "--leads", 12]
    command(*words, "-o", "whole", check=0)
    for k in (1, 0):
        command(*words, "-o", f"parts/{k}", "--part", f"{k}/2", check=0)
    assert "no part has shards 2 to 4" in one_line(command("merge", "parts/0", "-o", "d"), 2)
    done = command("merge", "parts/1", "parts/0", "-o", "d", check=0)
    assert done.stdout == "d: 9 samples in 5 shards of 2 parts\n" and done.stderr == ""
    assert tree(command.folder / "d") == tree(command.folder / "whole")
    done = command("merge", "parts/0", "parts/1", "-o", "d", "--move", check=0)
    assert done.stdout == "d: 9 samples in 5 shards of 2 parts; 2 parts removed\n"
    assert os.listdir(command.folder / "parts") == []
    assert regenerate.regenerate(str(command.folder / "d"), str(command.folder / "again")).same_bytes == 5
    assert tree(command.folder / "again") == tree(command.folder / "d")
