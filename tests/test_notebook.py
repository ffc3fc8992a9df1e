"""What people do with a generator in a notebook: look at it, pickle it for a pool, ask for too much, use modules."""

from __future__ import annotations

import copy
import operator
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import dsb_fast
from dsb_fast import _memory

pytestmark = pytest.mark.variant_independent


def test_a_generator_says_what_it_is(generator):
    assert repr(generator) == "<dsb_fast.Generator cardiovascular.ecg: {} on cpu, fp32, {}>".format(
        generator.backend.name, generator.info["grade"]
    )


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_of_processes_takes_a_generator(generator, method):
    two = operator.methodcaller("sample", 2, seed=9)
    with ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
        assert (pool.submit(two, generator).result() == two(generator)).all()


def test_a_pickled_generator_is_how_it_was_opened(tmp_path, data, monkeypatch):
    monkeypatch.chdir(data)
    given = dsb_fast.load("ecgen/bare_new_names.pt", card={"unit": "mV", "scale": 1.0})
    monkeypatch.chdir(tmp_path)
    for again in (pickle.loads(pickle.dumps(given)), copy.deepcopy(given)):
        assert again.opened_with == given.opened_with
        assert [again.info[key] for key in ("weights_sha256", "unit")] == [given.info["weights_sha256"], "mV"]
    given.opened_with = None
    with pytest.raises(dsb_fast.ModelError, match="load makes one"):
        pickle.dumps(given)


@pytest.mark.parametrize("count", [10**9, 2**63, 2**64 - 1])
def test_more_than_memory_holds_is_refused_in_a_line(generator, count):
    for ask in (generator.sample, lambda n: dsb_fast.random.normal(0, 0, n, 8192)):
        with pytest.raises(dsb_fast.InputError, match=r"^count: \d+ samples take [\d.]+ GB of memory") as refused:
            ask(count)
        assert "\n" not in str(refused.value)
    assert next(generator.stream(count, batch_size=2)).shape == (2, 8, 5000)
    with pytest.raises(dsb_fast.InputError, match=r"^batch_size: .* smaller batches need less$"):
        generator.stream(count, batch_size=count)


def test_what_the_system_would_give_out_but_not_have_is_refused(generator, monkeypatch):
    monkeypatch.setattr(_memory, "of_machine", lambda: 3 * 8 * 5000 * 2)
    assert len(generator.sample(3)) == 3
    with pytest.raises(dsb_fast.InputError, match=r"count: 4 samples .* stream gives them batch after batch"):
        generator.sample(4)


@pytest.mark.parametrize(("text", "least"), [("5000\n", 5000), ("max\n", 1 << 20), ("9223372036854771712\n", 1 << 20)])
def test_a_container_has_what_it_was_given(tmp_path, monkeypatch, text, least):
    (tmp_path / "memory.max").write_text(text)
    monkeypatch.setattr(_memory, "_LIMITS", (tmp_path / "memory.max", tmp_path / "none"))
    found = _memory.of_machine.__wrapped__()
    assert found == least or found > least > 5000


def test_modules_are_there_without_an_import_of_their_own(tmp_path):
    code = (
        "import sys, dsb_fast\n"
        "assert not {'dsb_fast.ops', 'dsb_fast.export', 'torch'} & set(sys.modules)\n"
        "print(dsb_fast.ops.bias_act.__name__, dsb_fast.digestive.models()[0], dsb_fast.export.__name__, end=' ')\n"
        "import inspect; print('ops' in dict(inspect.getmembers(dsb_fast)), hasattr(dsb_fast, 'nothing'))\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "bias_act digestive.gitract dsb_fast.export True False"


@pytest.mark.parametrize("threads", [-1, 1.5, None, "2", 1 << 40])
def test_threads_that_are_no_number(threads):
    for draw in (dsb_fast.random.uniform, dsb_fast.random.normal):
        with pytest.raises(dsb_fast.InputError, match=r"^threads: "):
            draw(0, 0, 1, 2, threads=threads)


@pytest.mark.parametrize("ends", [("a", 1), (None, 1), (0, 1e39), (-3e38, 3e38), (0, float("inf")), (0, 10**400)])
def test_ranges_without_float32_values(ends):
    with np.errstate(all="raise"), pytest.raises(dsb_fast.InputError, match=r"^low, high: "):
        dsb_fast.random.uniform(0, 0, 1, 2, low=ends[0], high=ends[1])
