"""A store that fails at each call in turn: a run survives it or says so, and the one after ends with the same bytes."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from references import faulty_store
from references.faulty_store import Faults, FaultyFileSystem, from_call, objects, once
from references.recorded_system import Killed
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import retry, run, verify

pytestmark = pytest.mark.variant_independent

FORMATS = ("npy", "wfdb", "zarr")  # one file a shard; files a sample and an index; names in a folder
URL = "faulty://bucket/dataset"
PASSING = ("before", "after", "throttled", "half", "other")


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """An empty store, and no waiting: how long would have been waited."""
    faulty_store.register()
    faulty_store.clear()
    waited: list[float] = []
    monkeypatch.setattr(retry, "sleep", lambda seconds, _: waited.append(seconds))
    FaultyFileSystem.hung.clear()
    yield waited
    faulty_store.clear()


def make(place, name="npy", count=3, faults=None, **how):
    FaultyFileSystem.faults = faults or Faults()
    recipe, options, format_ = run.make_recipe(SignalGenerator(), count, 3, format=name, shard_size=2)
    try:
        return run.generate_dataset(SignalGenerator(), str(place), recipe, options, format_, threads=1, **how)
    finally:
        FaultyFileSystem.faults = Faults()


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """What a run on the disk makes of a format."""
    made = {}
    for name in FORMATS:
        folder = tmp_path_factory.mktemp(name) / "d"
        make(folder, name)
        made[name] = tree(folder)
    return made


def calls(name):
    """The calls of a run that nothing happens to."""
    counted = Faults()
    make(URL, name, faults=counted)
    FaultyFileSystem.store.clear()
    return counted.log


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("name", FORMATS)
def test_what_passes_is_survived_at_every_call(local, name, fault):
    log = calls(name)
    assert len(log) > 15
    for k, call in enumerate(log):
        faulty_store.clear()
        assert make(URL, name, faults=once(k, fault))
        assert objects(URL) == local[name], (k, call)


@pytest.mark.parametrize("fault", ["before", "killed", "half and killed"])
@pytest.mark.parametrize("name", FORMATS)
def test_what_stays_ends_the_run_and_the_next_one_goes_on(local, name, fault):
    for k, call in enumerate(calls(name)):
        faulty_store.clear()
        try:
            make(URL, name, faults=from_call(k, fault))
        except Killed:
            assert "killed" in fault
        except dsb_fast.GenerationError as error:
            assert fault == "before" and "\n" not in str(error) and str(error).startswith(URL), str(error)
            assert "tried 6 times" in str(error) and "goes on" in str(error)
        else:
            assert fault == "half and killed", (k, call)
        make(URL, name)
        assert objects(URL) == local[name], (k, call)


def test_a_store_that_fails_one_call_in_four(local):
    """Each run gets as far as it gets; no object is ever other than it should be when the last one ends."""
    struck = Counter()

    def strike(number, _, key):
        if number % 4 != 3 or struck[key] == 5:  # whatever the order of threads, a sixth would end the run
            return None
        struck[key] += 1
        return PASSING[number % 5]

    for name in FORMATS:
        faulty_store.clear()
        make(URL, name, faults=Faults(strike))
        assert objects(URL) == local[name]
    assert sum(struck.values()) > 15


def test_waits_are_doubled_by_chance_and_bounded(waits):
    with pytest.raises(dsb_fast.GenerationError, match="tried 6 times"):
        make(URL, faults=from_call(0, "before"))
    assert len(waits) == 5
    for k, waited in enumerate(waits):
        assert 0.125 * 2**k <= waited <= 0.25 * 2**k
    assert max(retry.Patience(attempts=50).delay_s(k) for k in range(1, 50)) <= 15


def test_rights_are_not_tried_again(waits):
    with pytest.raises(dsb_fast.GenerationError, match="Access Denied") as caught:
        make(URL, faults=from_call(0, "denied"))
    assert not waits and "tried" not in str(caught.value)


def test_a_call_that_hangs_is_left_alone(local, monkeypatch):
    monkeypatch.setenv("DSB_STORE_TIMEOUT_S", "0.5")
    shard = "/bucket/dataset/000000002.npy"
    struck = []

    def strike(number, name, key):
        if name == "put_file" and key == shard and not struck:
            struck.append(number)
            return "hang"
        return None

    try:
        make(URL, faults=Faults(strike))
    finally:
        FaultyFileSystem.hung.set()
    assert struck and objects(URL) == local["npy"]


def test_a_manifest_that_hangs_is_not_written_twice(monkeypatch):
    """It could come late, after the one that says that all is there."""
    monkeypatch.setenv("DSB_STORE_TIMEOUT_S", "0.5")
    hang = Faults(lambda _, name, key: "hang" if name == "put_file" and key.endswith("dataset.json") else None)
    try:
        with pytest.raises(dsb_fast.GenerationError, match="no answer in"):
            make(URL, faults=hang)
    finally:
        FaultyFileSystem.hung.set()
    assert sum(call == ("put_file", "/bucket/dataset/dataset.json") for call in hang.log) == 1


@pytest.mark.parametrize(("variable", "value"), [("DSB_STORE_ATTEMPTS", "0"), ("DSB_STORE_TIMEOUT_S", "soon")])
def test_settings_that_mean_nothing_are_refused(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(dsb_fast.InputError, match=variable):
        make(URL)


def test_removal_under_faults_leaves_what_is_not_the_datasets(local):
    """--overwrite, killed at each of its calls and begun again."""

    def begin():
        faulty_store.clear()
        make(URL, "wfdb", count=5)
        FaultyFileSystem().pipe_file("/bucket/dataset/mine.txt", b"mine")

    begin()
    counted = Faults()
    make(URL, overwrite=True, faults=counted)
    assert objects(URL) == {**local["npy"], "mine.txt": b"mine"}
    for k in range(len(counted.log)):
        begin()
        with pytest.raises(Killed):
            make(URL, overwrite=True, faults=from_call(k, "killed"))
        make(URL, overwrite=True)
        assert objects(URL) == {**local["npy"], "mine.txt": b"mine"}, (k, counted.log[k])


def test_extending_under_faults():
    make("faulty://bucket/long", count=5)
    for k in range(100):
        faulty_store.clear()
        make("faulty://bucket/long", count=5)
        make(URL, count=3)
        try:
            make(URL, count=5, extend=True, faults=from_call(k, "killed after"))
        except Killed:
            make(URL, count=5, extend=True)
            assert objects(URL) == objects("faulty://bucket/long"), k
            assert verify.verify_dataset(URL)["samples"] == 5
        else:
            break
    assert k > 20


def test_shards_are_uploaded_side_by_side(local):
    """Two uploads each wait until the other has begun."""
    first = {f"/bucket/dataset/00000000{k}.npy" for k in (0, 2)}
    meet = Faults(lambda _, name, key: "meet" if name == "put_file" and key in first else None)
    make(URL, faults=meet)
    assert objects(URL) == local["npy"] and len([key for _, key in meet.log if key in first]) >= 2


def test_an_upload_that_failed_ends_a_long_run_early():
    """What is given up is noticed while shards are made, not when all are."""
    lost = Faults(lambda _, name, key: "denied" if name == "put_file" and key.endswith("000.npy") else None)
    with pytest.raises(dsb_fast.GenerationError, match="Access Denied"):
        make(URL, count=200, faults=lost)
    assert len(objects(URL)) < 60  # of a hundred shards


def test_an_interrupted_run_does_not_wait_for_a_store_that_hangs(monkeypatch):
    """Ctrl-C while an upload hangs: seconds, not the minutes that the upload would be waited for."""
    monkeypatch.setattr(retry, "_GRACE_S", 0.1)
    hang = Faults(lambda _, name, key: "hang" if name == "put_file" and key.endswith(".npy") else None)

    def interrupt(done, _):
        if done:
            raise KeyboardInterrupt

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        make(URL, count=20, faults=hang, progress=interrupt)
    assert time.monotonic() - begin < 30
    FaultyFileSystem.hung.set()
