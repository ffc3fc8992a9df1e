"""Each system call of publishing fails in turn, in every format: what a later run ends with is never another byte."""

from __future__ import annotations

import errno
import json

import pytest
from references.image_generator import ImageGenerator
from references.recorded_system import Killed, Quick
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import run, verify, writers

pytestmark = pytest.mark.variant_independent

CASES = [(kind, name) for kind in (writers.SIGNAL, writers.IMAGE) for name in writers.names(kind)]
COUNT, SHARD = 3, 2


class HalfWritten(Quick):
    """A disk that is full in the middle of what is being written."""

    def _step(self, name, arguments, real):
        if len(self.log) == self._stop_at and name == "write":
            view = memoryview(arguments[1]).cast("B")
            real(arguments[0], view[: view.nbytes // 2])
        return super()._step(name, arguments, real)


FAULTS = {  # killed after a call is killed before the next one, in tests/test_bulk.py both
    "killed": lambda k: Quick(k, Killed()),
    "disk full": HalfWritten,
    "input/output error": lambda k: Quick(k, OSError(errno.EIO, "Input/output error")),
    "disk full after": lambda k: Quick(k, after=True),
}


def make(folder, kind, name, system, count=COUNT):
    generator = SignalGenerator() if kind == writers.SIGNAL else ImageGenerator(8)
    recipe, options, format_ = run.make_recipe(generator, count, 3, format=name, shard_size=SHARD)
    return run.generate_dataset(generator, str(folder), recipe, options, format_, system=system)


def temporaries(folder):
    """What a run has left unfinished."""
    return [p.name for p in folder.iterdir() if p.name.startswith(".dsb-tmp")]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_call_fails_in_turn(tmp_path, kind, name, fault):
    whole = Quick()
    make(tmp_path / "whole", kind, name, whole)
    expected, calls = tree(tmp_path / "whole"), whole.log
    assert len(calls) > 25
    assert verify.verify_dataset(str(tmp_path / "whole"))["samples"] == COUNT
    for k, (call, target) in enumerate(calls):
        folder, system = tmp_path / f"{k}", FAULTS[fault](k)
        try:
            make(folder, kind, name, system)
        except Killed:
            assert fault == "killed"
        except dsb_fast.GenerationError as error:
            assert fault != "killed" and "\n" not in str(error) and "goes on" in str(error)
            assert not folder.exists() or call == "unlink" or not temporaries(folder)
        else:  # of a file that is whole, or that was not there
            assert call in ("close", "unlink") and "journal" in str(target), (call, target)
        make(folder, kind, name, Quick())
        assert tree(folder) == expected, f"{fault} at call {k}, {call} {target}"


def test_there_are_more_than_two_hundred_faults(tmp_path):
    faults = 0
    for kind, name in CASES:
        system = Quick()
        make(tmp_path / f"{kind}-{name}", kind, name, system)
        faults += len(system.log) * len(FAULTS)
    print(f"{faults} faults over {len(CASES)} formats")
    assert faults > 200 * 10


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_faults_one_after_the_other_until_it_is_done(tmp_path, kind, name):
    """A disk that fails at the 40th call of every run: each run gets further, the last one ends."""
    make(tmp_path / "whole", kind, name, Quick(), 5)
    for _ in range(100):
        try:
            make(tmp_path / "d", kind, name, Quick(40), 5)
        except dsb_fast.GenerationError:
            continue
        break
    else:
        pytest.fail("never done: " + json.dumps(sorted(tree(tmp_path / "d"))))
    assert tree(tmp_path / "d") == tree(tmp_path / "whole")
