"""SyntheticDataset: every sample once, in the promised order, with any number of ranks and loader workers."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import torch_ranks
from torch.utils.data import DataLoader

import dsb_fast
from dsb_fast._deal import dealt, share
from dsb_fast._generator import Generator
from dsb_fast.torch import SyntheticDataset

ECG = "cardiovascular.ecg"
pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),  # more workers than cores
    pytest.mark.variant_independent,  # who makes which sample, not how
]
SEED, START, COUNT, BLOCK = 9, 2**32 - 11, 46, 4  # eleven blocks and a half


@pytest.fixture(scope="module")
def samples(generator):
    """Samples 0 to 3 * COUNT - 1 after START."""
    return generator.sample(3 * COUNT, seed=SEED, start=START)


def dataset(model=ECG, count=COUNT, **named):
    return SyntheticDataset(model, count, SEED, START, **{"block_size": BLOCK, **named})


def loader(of, workers=0, context=None, **named):
    return DataLoader(of, **{"batch_size": BLOCK, **named}, num_workers=workers, multiprocessing_context=context)


def indices(batches):
    return [int(k) - START for index, _ in batches for k in index]


def as_a_loader_takes(count, block_size, rank, world, workers):
    """The blocks of a rank in the order in which torch's DataLoader asks its workers: in turn, leaving out the done."""
    queues = [list(dealt(5, count, block_size, rank, world, w, workers)) for w in range(workers)]
    taken = []
    while any(queues):
        taken += [queue.pop(0) for queue in queues if queue]
    return taken


ANY = (st.integers(0, 300), st.integers(1, 40), st.integers(1, 5), st.integers(1, 6))


@given(*ANY)
@settings(max_examples=300, deadline=None)
def test_every_sample_comes_once_and_in_order(count, block_size, world, workers):
    ranks = [as_a_loader_takes(count, block_size, rank, world, workers) for rank in range(world)]
    steps = max(map(len, ranks))
    consumed = [blocks[step] for step in range(steps) for blocks in ranks if step < len(blocks)]
    assert [first + k for first, n in consumed for k in range(n)] == list(range(5, 5 + count))
    assert all(n == block_size for _, n in consumed[:-1])
    for rank, blocks in enumerate(ranks):
        assert share(count, block_size, rank, world) == (len(blocks), sum(n for _, n in blocks))
        assert len(blocks) in {steps, steps - 1}


@given(*ANY, st.integers(0, 20))
@settings(max_examples=200, deadline=None)
def test_skipped_steps_leave_the_others_as_they_were(count, block_size, world, workers, steps):
    done = min(steps * block_size * world, count)
    for rank in range(world):
        rest = [(done + first, n) for first, n in as_a_loader_takes(count - done, block_size, rank, world, workers)]
        assert rest == as_a_loader_takes(count, block_size, rank, world, workers + 1)[steps:]


@pytest.mark.parametrize(("workers", "context"), [(0, None), (1, "fork"), (2, "fork"), (3, "fork"), (2, "spawn")])
def test_a_loader_gives_what_sample_gives(samples, workers, context):
    batches = list(loader(dataset(with_index=True), workers, context))
    assert indices(batches) == list(range(COUNT))
    assert [len(batch) for _, batch in batches] == [BLOCK] * (COUNT // BLOCK) + [COUNT % BLOCK]
    made = torch.cat([batch for _, batch in batches])
    assert made.dtype == torch.int16 and (made.numpy() == samples[:COUNT]).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_blocks_come_whole(samples, workers):
    of = dataset(batched=True, with_index=True, leads=12)
    whole = loader(of, workers, batch_size=None)
    batches = list(whole)
    assert len(batches) == len(whole) == len(of) == -(-COUNT // BLOCK)
    assert indices(batches) == list(range(COUNT)) and batches[0][0].dtype == torch.int64
    assert (torch.cat([batch for _, batch in batches]).numpy() == dsb_fast.leads.derive_12(samples[:COUNT])).all()


@pytest.mark.parametrize("workers", [0, 3])
def test_two_ranks_share_the_samples(samples, workers):
    ranks = [list(loader(dataset(with_index=True, rank=r, world_size=2), workers)) for r in range(2)]
    order = [batch for step in zip(*ranks, strict=True) for batch in step]
    assert indices(order) == list(range(COUNT))
    assert (torch.cat([batch for _, batch in order]).numpy() == samples[:COUNT]).all()


@pytest.mark.parametrize(("workers", "resumed_workers"), [(0, 2), (3, 0)])
def test_a_run_goes_on_where_it_was_left(samples, workers, resumed_workers):
    for rank in range(2):
        of = dataset(rank=rank, world_size=2, with_index=True)
        whole, before = list(loader(of)), []
        for batch in loader(of, workers):
            before.append(batch)
            if len(before) == 2:
                break
        rest = of.skip(2 * BLOCK * 2)
        after = list(loader(rest, resumed_workers))
        assert indices(before + after) == indices(whole) and len(loader(rest)) == len(after)
        assert all((a == b).all() for (_, a), (_, b) in zip(before + after, whole, strict=True))


def test_skipping_is_of_the_epoch_that_is_set():
    of = dataset(with_index=True)
    of.set_epoch(1)
    rest = of.skip(8).skip(5)
    assert [k - START for k, _ in rest] == list(range(COUNT + 13, 2 * COUNT)) and len(rest) == COUNT - 13
    rest.set_epoch(2)
    assert [k - START for k, _ in rest] == list(range(2 * COUNT, 3 * COUNT)) and len(rest) == COUNT
    assert next(iter(of))[0] == START + COUNT  # what it was taken from stays as it was
    of.set_epoch(0)
    assert list(of.skip(COUNT)) == [] and len(of.skip(COUNT)) == 0


@pytest.mark.parametrize(("workers", "context"), [(0, None), (2, "fork"), (1, "spawn")])
def test_epochs_have_samples_of_their_own(samples, workers, context):
    of = dataset(count=8, with_index=True)
    many = loader(of, workers, context, persistent_workers=workers > 0)
    for epoch in (0, 2, 1):
        of.set_epoch(epoch)
        batches = list(many)
        assert indices(batches) == list(range(8 * epoch, 8 * epoch + 8))
        assert (torch.cat([batch for _, batch in batches]).numpy() == samples[8 * epoch : 8 * epoch + 8]).all()
    assert indices(list(many)) == indices(batches)  # unless told, no other samples


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_the_length_is_that_of_what_comes(recwarn, workers, drop_last):
    for rank in range(3):
        of = dataset(rank=rank, world_size=3)
        many = loader(of, workers, drop_last=drop_last)
        length, batches = len(many), list(many)
        assert length == len(batches)
        if not drop_last:
            assert sum(map(len, batches)) == len(of)
    assert not [warning for warning in recwarn if "Length of IterableDataset" in str(warning.message)]


def test_ranks_are_those_of_the_process_group(tmp_path):
    """Also of a dataset that was made before there were ranks, and in loader workers that know of no group."""
    start = torch.multiprocessing.get_context("spawn")
    results, of = start.SimpleQueue(), dataset(with_index=True)
    rest = tmp_path / "group", of, BLOCK, {"fork": 2, "spawn": 1}, results
    ranks = [start.Process(target=torch_ranks.indices_of_a_rank, args=(rank, 2, *rest)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(120)
        assert process.exitcode == 0
    blocks = [list(range(START + k, START + min(k + BLOCK, COUNT))) for k in range(0, COUNT, BLOCK)]
    for rank, length, found in sorted(results.get() for _ in ranks):
        expected = [k for block in blocks[rank::2] for k in block]
        assert length == len(expected) and found == [expected, expected]


def test_images_and_another_folder(data, tmp_path, monkeypatch):
    """A relative path holds in worker processes too, wherever they work."""
    monkeypatch.chdir(data / "lucid" / "models")
    of = dataset("rgba_noconst32", count=11, network="plain", truncation=0.5)
    whole = dsb_fast.load("rgba_noconst32", device="cpu", network="plain").sample(11, SEED, START, truncation=0.5)
    monkeypatch.chdir(tmp_path)
    for workers, context in ((0, None), (2, "fork")):
        made = torch.cat(list(loader(of, workers, context)))
        assert made.dtype == torch.uint8 and made.shape[1:] == (32, 32, 4) and (made.numpy() == whole).all()


def test_a_generator_is_opened_again_in_workers(generator, samples):
    """Also where it has been at work before the fork."""
    assert generator.opened_with == {
        "model": ECG, "device": "cpu", "precision": "fp32", "checkpoint": None, "card": None, "network": None,
        "backend": "auto", "force_precision": False,
    }  # fmt: skip
    of = dataset(generator)
    assert (torch.stack(list(of)).numpy() == samples[:COUNT]).all()
    for workers, context in ((2, "fork"), (1, "spawn")):  # a spawned worker imports torch, a second or two
        assert (torch.cat(list(loader(of, workers, context))).numpy() == samples[:COUNT]).all()


def test_a_generator_that_load_did_not_make_stays_in_its_process(generator, monkeypatch):
    bare = dataset(Generator(generator.model, "cpu"))
    assert len(list(loader(bare))) == 12
    with pytest.raises(dsb_fast.ModelError, match="give the name or path"):
        list(pickle.loads(pickle.dumps(bare)))
    monkeypatch.setattr("dsb_fast.torch.os.getpid", lambda: 1)
    with pytest.raises(dsb_fast.ModelError, match="give the name or path"):
        list(bare)


def test_a_worker_makes_samples_on_one_thread_and_the_main_process_on_all(generator, monkeypatch):
    found, ahead = [], generator.made_ahead

    def made_ahead(*arguments, threads):
        found.append(threads)
        return ahead(*arguments, threads=threads)

    monkeypatch.setattr(generator, "made_ahead", made_ahead)
    of = dataset(generator)
    monkeypatch.setattr(generator.backend, "parallel", 5)
    next(iter(of))
    monkeypatch.setattr("dsb_fast.torch.get_worker_info", lambda: type("Info", (), {"id": 1, "num_workers": 3}))
    assert (next(iter(of)).numpy() == generator.sample(1, SEED, START + BLOCK)[0]).all()
    assert found == [5, 1]


def test_left_early_nothing_goes_on():
    for batch in loader(dataset(count=10**9)):
        assert batch.shape == (BLOCK, 8, 5000)
        break
    del batch
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dsb_fast")]


def test_transforms_see_a_sample_or_a_block(samples):
    whole = torch.from_numpy(samples[:COUNT]).float() / 2
    for workers, context in ((0, None), (1, "spawn")):
        assert (torch.cat(list(loader(dataset(transform=torch_ranks.halved), workers, context))) == whole).all()
    shapes = [shape for _, shape in dataset(transform=lambda block: block.shape, batched=True, with_index=True)]
    assert shapes[0] == (BLOCK, 8, 5000)


def test_copies_go_on_alike(samples):
    of = dataset(with_index=True).skip(3)
    for other in (copy.copy(of), copy.deepcopy(of), pickle.loads(pickle.dumps(of))):
        assert [k - START for k, _ in other] == list(range(3, COUNT))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"count": -1}, "count"), ({"count": 1.5}, "count"), ({"seed": 2**64}, "seed"), ({"start": -1}, "start"),
        ({"block_size": 0}, "block_size"), ({"block_size": True}, "block_size"), ({"rank": 0}, "rank"),
        ({"world_size": 2}, "world_size"), ({"rank": 2, "world_size": 2}, "rank"),
        ({"rank": -1, "world_size": 2}, "rank"), ({"model": 3}, "model"),
        ({"start": 2**63, "with_index": True}, "with_index"), ({"start": 2**64 - 1, "count": 2}, "count"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named_at_once(arguments, word):
    with pytest.raises(dsb_fast.InputError, match=word) as error:
        SyntheticDataset(**{"model": ECG, "count": 4, **arguments})
    assert "\n" not in str(error.value)


def test_wrong_use_is_named(generator):
    of = dataset()
    for call, value in ((of.skip, COUNT + 1), (of.skip, -1), (of.set_epoch, -1), (of.set_epoch, 2**60)):
        with pytest.raises(dsb_fast.InputError):
            call(value)
    assert len(of) == COUNT
    with pytest.raises(dsb_fast.InputError, match="precision"):
        dataset(generator, precision="bf16")
    with pytest.raises(dsb_fast.InputError, match="truncation"):
        dataset(generator, truncation=0.5)
    with pytest.raises(dsb_fast.ModelError, match="nowhere"):
        list(dataset("nowhere.pt"))
    with pytest.raises(dsb_fast.InputError, match="truncation"):
        list(dataset(truncation=0.5))


def test_without_torch_the_extra_is_named(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import dsb_fast; assert 'dsb_fast.torch' not in sys.modules\n"
        "try: import dsb_fast.torch\n"
        "except dsb_fast.MissingDependencyError as error: print(error)"
    )
    said = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True, env=os.environ)
    assert said.count("\n") == 1 and "pip install 'dsb-fast[torch]'" in said


def test_blocks_past_what_an_index_can_count_need_no_index():
    last = SyntheticDataset(ECG, 3, start=2**64 - 3)
    assert np.stack(list(last)).shape == (3, 8, 5000)
