"""stream: batches made while the consumer works, a bounded number of them, and nothing left behind."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsb_fast
from dsb_fast import _parallel
from dsb_fast._prefetch import prefetched


def workers():
    """Threads of ours that live."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("dsb_fast")]


def until(condition):
    """Wait for what another thread is about to do."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


class Maker:
    """Samples that are their numbers; remembers which were made."""

    def __init__(self, fails_at=None):
        self.made, self.fails_at, self.jobs = set(), fails_at, []

    @property
    def begun(self):
        return sum(self.jobs)

    def __call__(self, first, count):
        self.jobs.append(count)
        if self.fails_at is not None and first <= self.fails_at < first + count:
            raise dsb_fast.GenerationError("no numbers")
        self.made |= set(range(first, first + count))
        return np.arange(first, first + count)

    def stream(self, count, size, best=4, threads=2, prefetch=None, start=7):
        batches = ((k, min(size, start + count - k)) for k in range(start, start + count, size))
        return prefetched(self, batches, size, best, threads, prefetch)


@pytest.mark.variant_independent
@given(
    st.integers(0, 70), st.integers(1, 20), st.integers(1, 9), st.integers(1, 5),
    st.one_of(st.none(), st.integers(0, 9)),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_batches_are_whole_and_in_order(count, size, best, threads, prefetch):
    batches = list(Maker().stream(count, size, best, threads, prefetch))
    assert [len(batch) for batch in batches] == [min(size, count - k) for k in range(0, count, size)]
    assert [int(k) for batch in batches for k in batch] == list(range(7, 7 + count))
    assert not workers()


@pytest.mark.variant_independent
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("size", "prefetch"), [(4, 1), (4, 3), (3, 2), (10, 1), (10, 2)])
def test_so_many_batches_are_made_ahead_and_no_more(threads, size, prefetch):
    maker = Maker()
    stream = maker.stream(10**6, size, threads=threads, prefetch=prefetch)
    assert maker.begun == 0
    for taken in range(1, 6):
        next(stream)
        until(lambda ready=(taken + prefetch) * size: len(maker.made) >= ready)
        time.sleep(0.005)
        assert maker.begun == len(maker.made) == (taken + prefetch) * size
    stream.close()
    assert not workers()


@pytest.mark.variant_independent
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_by_itself_it_is_ahead_with_any_number_of_threads(threads):
    maker = Maker()
    stream = maker.stream(10**6, 4, threads=threads)
    next(stream)
    until(lambda: len(maker.made) >= 4 + 8 * threads)
    stream.close()


@pytest.mark.variant_independent
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_without_prefetch_nothing_is_made_before_it_is_asked_for(threads):
    maker = Maker()
    stream = maker.stream(30, 10, threads=threads, prefetch=0)
    for taken, batch in enumerate(stream, start=1):
        assert len(batch) == 10 and maker.begun == 10 * taken and not workers()


@pytest.mark.variant_independent
def test_a_large_batch_is_made_by_all_threads():
    meeting, names = threading.Barrier(3), set()

    def make(first, count):
        names.add(threading.current_thread().name)
        meeting.wait(60)
        return np.arange(first, first + count)

    for prefetch in (0, 1):
        assert len(next(prefetched(make, [(0, 6)], 6, 2, 3, prefetch))) == 6
    assert len(names) >= 3


@pytest.mark.variant_independent
@pytest.mark.parametrize("close", [True, False])
def test_left_early_the_waiting_batches_are_dropped(monkeypatch, close):
    maker, gate = Maker(), threading.Event()

    class Pool(_parallel.ThreadPoolExecutor):
        def shutdown(self, wait=True, *, cancel_futures=False):
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            gate.set()
            super().shutdown(wait=wait)

    def make(first, count):
        if first >= 11:
            gate.wait(60)
        return maker(first, count)

    monkeypatch.setattr(_parallel, "ThreadPoolExecutor", Pool)
    stream = prefetched(make, ((k, 4) for k in range(7, 10**6, 4)), 4, 4, 2, 20)
    assert list(next(stream)) == [7, 8, 9, 10]
    if close:
        stream.close()
    else:
        del stream
    assert not workers() and maker.begun <= 12  # one was taken, two were under way, eighteen waited


@pytest.mark.variant_independent
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("size", "prefetch"), [(4, 0), (4, 1), (4, 5), (9, 2), (3, None)])
def test_an_error_comes_with_its_batch(threads, size, prefetch):
    stream = Maker(fails_at=7 + 20).stream(10**6, size, threads=threads, prefetch=prefetch)
    for first in range(0, 20 - size + 1, size):
        assert next(stream)[0] == 7 + first
    with pytest.raises(dsb_fast.GenerationError, match="no numbers"):
        next(stream)
    assert not workers() and list(stream) == []


@pytest.fixture(scope="module")
def whole(generator):
    return generator.sample(40, seed=3, start=2**32 - 4, leads=12)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("prefetch", [None, 0, 1, 3])
@pytest.mark.parametrize("batch_size", [None, 5, 36])
def test_the_bits_are_those_of_sample(generator, whole, monkeypatch, threads, prefetch, batch_size):
    monkeypatch.setattr(generator.backend, "parallel", threads)
    made = list(generator.stream(40, seed=3, start=2**32 - 4, batch_size=batch_size, prefetch=prefetch, leads=12))
    assert (np.concatenate(made) == whole).all() and made[0].dtype == np.int16
    if batch_size:
        assert [len(batch) for batch in made] == [min(batch_size, 40 - k) for k in range(0, 40, batch_size)]


def test_one_thread_works_ahead_of_its_consumer(generator, monkeypatch):
    begun, make = [], generator.make
    monkeypatch.setattr(generator.backend, "parallel", 1)
    monkeypatch.setattr(generator, "make", lambda *job: begun.append(job[1]) or make(*job))
    stream = generator.stream(10**6, batch_size=2)
    next(stream)
    until(lambda: begun == [0, 2, 4])
    stream.close()
    assert not workers()


def test_the_last_numbers_and_no_numbers(generator):
    stream = generator.stream(5, start=2**64 - 5, batch_size=3)
    assert (np.concatenate(list(stream)) == generator.sample(5, start=2**64 - 5)).all()
    for prefetch in (None, 0, 2):
        assert list(generator.stream(0, prefetch=prefetch)) == list(generator.stream(0, 0, 0, 4, prefetch)) == []


@pytest.mark.parametrize("name", ["prefetch", "batch_size"])
@pytest.mark.parametrize("value", [-1, True, 1.0, "2", [1]])
def test_wrong_numbers_are_named(generator, name, value):
    with pytest.raises(dsb_fast.InputError, match=name) as error:
        generator.stream(4, **{name: value})
    assert "\n" not in str(error.value)
    with pytest.raises(dsb_fast.InputError, match="batch_size"):
        generator.stream(4, batch_size=0)
    assert len(next(generator.stream(4, batch_size=np.int64(3), prefetch=np.int64(1)))) == 3
