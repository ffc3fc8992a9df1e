"""SyntheticDataset with keep and annotate: the same samples in the same places, whoever makes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import dsb_fast
from dsb_fast.torch import SyntheticDataset

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),  # more workers than cores
    pytest.mark.variant_independent,
]
ECG, SEED, START, COUNT, BLOCK = "cardiovascular.ecg", 9, 3, 14, 4
KEEP, NAMES = "beats > 11 and known(rr_sd_ms)", ["rr_sd_ms", "beats"]


def dataset(model=ECG, **named):
    return SyntheticDataset(model, COUNT, SEED, START, **{"block_size": BLOCK, "keep": KEEP, **named})


def loader(of, workers=0, **named):
    return DataLoader(of, **{"batch_size": BLOCK, **named}, num_workers=workers)


@pytest.fixture(scope="module")
def places(generator):
    """Of each place of two epochs the number, sample and labels that the documentation says it has."""
    found = []
    for place in range(START, START + 2 * COUNT):
        number = place
        while True:
            sample = generator.sample(1, SEED, number)
            measured = generator.measure(sample, NAMES)
            if measured["beats"][0] > 11 and not np.isnan(measured["rr_sd_ms"][0]):
                break
            number += 2**48
        found.append((number, sample[0], np.array([measured[name][0] for name in NAMES], np.float32)))
    return found


def check(batches, expected):
    """``batches`` of index, sample and labels are ``expected``, in order."""
    items = [item for batch in batches for item in zip(*batch, strict=True)]
    assert [int(number) for number, *_ in items] == [number for number, *_ in expected]
    for (_, sample, labels), (_, samples, measured) in zip(items, expected, strict=True):
        assert sample.dtype == torch.int16 and labels.dtype == torch.float32
        assert (sample.numpy() == samples).all() and (labels.numpy() == measured).all()


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_places_have_the_same_samples_with_any_number_of_workers(places, workers):
    assert 2 < sum(number >= 2**48 for number, *_ in places[:COUNT]) < COUNT - 2  # some are replaced
    of = dataset(with_index=True, annotate=NAMES)
    batches = list(loader(of, workers))
    check(batches, places[:COUNT])
    assert [len(batch[0]) for batch in batches] == [4, 4, 4, 2] and len(loader(of, workers)) == 4


def test_ranks_epochs_blocks_and_skipped_steps(generator, places):
    of = dataset(generator, with_index=True, annotate=NAMES, batched=True)
    check(list(of), places[:COUNT])
    of.set_epoch(1)
    check(list(of), places[COUNT:])
    check(list(of.skip(2 * BLOCK)), places[COUNT + 2 * BLOCK :])
    ranks = [list(dataset(generator, with_index=True, annotate=NAMES, batched=True, rank=rank, world_size=2))
             for rank in range(2)]  # fmt: skip
    check([ranks[0][0], ranks[1][0], ranks[0][1], ranks[1][1]], places[:COUNT])


def test_what_an_item_is(generator, places):
    sample = next(iter(dataset(generator)))
    assert (sample.numpy() == places[0][1]).all()
    plain, labels = next(
        iter(dataset(generator, keep=None, annotate="rr_sd_ms,beats", transform=lambda x: x.float() / 2))
    )
    assert plain.dtype == torch.float32 and (plain.numpy() == generator.sample(1, SEED, START)[0] / 2).all()
    assert labels.shape == (2,)
    every = next(iter(dataset(generator, keep=None, annotate="all", batched=True)))[1]
    assert every.shape == (BLOCK, len(generator.measure(generator.sample(1))))
    called = dataset(generator, keep=lambda measured: measured["beats"] > 11 and measured["rr_sd_ms"] >= 0)
    assert all((a.numpy() == b[1]).all() for a, b in zip(called, places[:COUNT], strict=True))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"keep": "beats >"}, "keep"),
        ({"keep": 3}, "keep: int"),
        ({"keep": "beets > 3"}, "beats is"),
        ({"annotate": "beets"}, "annotate"),
        ({"numpy_seed": True}, "numpy_seed"),
    ],
)
def test_refused_at_once(generator, how, said):
    with pytest.raises(dsb_fast.InputError, match=said):
        dataset(generator, **how)


def test_numbers_and_tries_end(generator, monkeypatch):
    with pytest.raises(dsb_fast.InputError, match="2\\^48"):
        SyntheticDataset(ECG, COUNT, SEED, 2**48 - COUNT + 1, keep=KEEP)
    with pytest.raises(dsb_fast.InputError, match="2\\^48"):
        SyntheticDataset(ECG, COUNT, SEED, 2**48 - COUNT, keep=KEEP).set_epoch(1)
    with pytest.raises(dsb_fast.InputError, match="keep"):
        dataset(keep="beats >")  # before the model is opened
    monkeypatch.setattr("dsb_fast._filter.replaced.TRIES", 3)
    with pytest.raises(dsb_fast.GenerationError, match="none of 3"):
        next(iter(dataset(generator, keep="beats > 1000")))
