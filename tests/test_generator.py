"""load, sample, stream, run, info: what users call, and that a sample is a function of its number."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import ECG_EQUAL_SHARE, ECG_MORE_THAN_ONE_APART

import dsb_fast
from dsb_fast import leads


@pytest.fixture(scope="module")
def forty(generator):
    return generator.sample(40, seed=11, start=3)


@given(st.integers(0, 39), st.integers(0, 40), st.integers(1, 41), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_batches_threads_and_ranges_do_not_change_samples(generator, forty, first, count, batch_size, threads):
    count = min(count, 40 - first)
    options = generator.model.options()
    parts = list(generator.batches(11, 3 + first, count, options, batch_size, threads))
    got = np.concatenate(parts) if parts else forty[:0]
    assert (got == forty[first : first + count]).all()


@pytest.fixture(scope="module")
def portable(generator, tmp_path_factory):
    """The portable graph on ONNX Runtime."""
    path = tmp_path_factory.mktemp("portable") / "ecg.onnx"
    generator.model.source.export(path)
    return dsb_fast.load(path, device="cpu")


@pytest.mark.parametrize("which", ["generator", "portable"])
@pytest.mark.parametrize("batch", [1, 2, 3, 5, 8, 16, 17, 31, 32, 33, 64])
def test_signal_bits_do_not_depend_on_the_batch(request, which, batch):
    runner = request.getfixturevalue(which)
    noise = dsb_fast.random.uniform(5, 0, 64, (8, 5000), low=-1.0, high=1.0)
    whole = runner.run(noise=noise)["signal"]
    parts = [runner.run(noise=noise[k : k + batch])["signal"] for k in range(0, 64, batch)]
    assert (np.concatenate(parts).view(np.int32) == whole.view(np.int32)).all()


def test_stream_gives_whole_batches_of_the_same_samples(generator, forty):
    batches = list(generator.stream(40, seed=11, start=3, batch_size=9))
    assert [len(b) for b in batches] == [9, 9, 9, 9, 4]
    assert (np.concatenate(batches) == forty).all()
    assert (np.concatenate(list(generator.stream(40, seed=11, start=3))) == forty).all()
    assert list(generator.stream(0)) == []


def test_stream_can_be_left_early(generator, forty):
    for batch in generator.stream(10**9, seed=11, start=3, batch_size=4):
        assert (batch == forty[:4]).all()
        break
    assert threading.active_count() < 20


def test_many_threads_may_use_one_generator(generator, forty):
    wrong = []

    def work(k):
        if not (generator.sample(4, seed=11, start=3 + 4 * k) == forty[4 * k : 4 * k + 4]).all():
            wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_twelve_leads_are_the_derived_ones(generator, forty):
    twelve = generator.sample(5, seed=11, start=3, leads=12)
    assert twelve.shape == (5, 12, 5000) and twelve.dtype == np.int16
    assert (twelve == leads.derive_12(forty[:5])).all()


def test_seeds_differ_and_samples_differ(generator, forty):
    assert not (generator.sample(1, seed=12, start=3) == forty[0]).all()
    assert not (forty[0] == forty[1]).all()
    assert forty.min() > -6000 and forty.max() < 6000 and forty.std() > 20


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"count": -1}, "count"), ({"count": 1, "seed": -1}, "seed"), ({"count": 1, "seed": 2**64}, "seed"),
        ({"count": 1.5}, "count"), ({"count": 1, "start": -3}, "start"), ({"count": 1, "leads": 7}, "leads"),
        ({"count": 1, "truncation": 0.5}, "truncation"), ({"count": 1, "leads": True}, "leads"),
        ({"count": 1, "leads": "twelve"}, "leads"), ({"count": 2, "start": 2**64 - 1}, "count"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(generator, arguments, word):
    with pytest.raises(dsb_fast.InputError, match=word):
        generator.sample(**arguments)


def test_no_samples(generator):
    assert generator.sample(0).shape == (0, 8, 5000)


@pytest.mark.parametrize(
    "noise",
    [np.zeros((1, 8, 5001)), np.zeros((8, 5000)), np.zeros((1, 7, 5000)), np.array(["a"]), np.zeros((1, 8, 0))],
)
def test_run_names_a_wrong_input(generator, noise):
    with pytest.raises(dsb_fast.InputError, match="noise"):
        generator.run(noise=noise)
    with pytest.raises(dsb_fast.InputError, match="noise"):
        generator.run()
    with pytest.raises(dsb_fast.InputError, match="colour"):
        generator.run(noise=np.zeros((1, 8, 5000), np.float32), colour=1)


def test_run_takes_other_lengths(generator):
    assert generator.run(noise=np.zeros((2, 8, 7500), np.float32))["signal"].shape == (2, 8, 7500)


def test_info_says_what_is_needed(generator):
    info = generator.info
    assert info["leads"] == list(leads.LEADS_8) and info["output"]["unit"] == "microvolt"
    assert info["licence"] == "MIT" and "Scientific Reports" in info["citation"] and info["synthetic"] is True
    assert (info["backend"], info["flavour"], info["grade"]) in {
        ("onnxruntime-cpu", "portable", "repeatable"), ("native", "fused", "exact"),
    }  # fmt: skip
    assert info["variant"] in {"scalar", "avx2", "avx512", "avx512_bf16", "numba"}


@pytest.mark.variant_independent
def test_models_lists_the_eleven_categories():
    models = dsb_fast.models()
    assert list(models) == [
        "cardiovascular", "digestive", "endocrine", "integumentary", "lymphatic", "muscular", "nervous", "urinary",
        "reproductive", "respiratory", "skeletal",
    ]  # fmt: skip
    assert models["cardiovascular"] == ["cardiovascular.ecg"] and models["skeletal"] == []
    for category in models:
        __import__(f"dsb_fast.{category}")


def test_devices_say_why_not():
    rows = {row["device"]: row for row in dsb_fast.devices()}
    assert rows["cpu"]["available"] and rows["cpu"]["auto"]
    assert not rows["openvino"]["auto"]
    for row in rows.values():
        assert row["available"] or row["reason"]


@pytest.mark.parametrize(
    ("device", "precision"),
    [
        ("gpu", "fp32"),
        ("cpu:1", "fp32"),
        ("cpu", "bf16"),
        ("cpu", "int3"),
        ("cuda:x", "fp32"),
        (7, "fp32"),
        ("", "fp32"),
    ],
)
def test_wrong_devices_are_named(device, precision):
    with pytest.raises(dsb_fast.DeviceError):
        dsb_fast.load("cardiovascular.ecg", device=device, precision=precision)


@pytest.mark.skipif(dsb_fast.devices()[0]["available"], reason="this machine has a CUDA device")
def test_a_gpu_that_is_not_there_is_a_device_error():
    with pytest.raises(dsb_fast.DeviceError, match="cuda"):
        dsb_fast.load("cardiovascular.ecg", device="cuda")


@pytest.mark.parametrize("model", ["cardiovascular.eeg", "nowhere.pt", "", "skeletal"])
def test_unknown_models_are_named(model):
    with pytest.raises(dsb_fast.DsbError, match=repr(model) if model else "model"):
        dsb_fast.load(model)
    with pytest.raises(dsb_fast.ModelError):
        dsb_fast.load(3)


def test_openvino_stays_within_the_contract(generator, forty):
    """Between fp32 backends at least 99.5 % of values are equal, and more than 1 apart at most 1 in a million."""
    other = dsb_fast.load("cardiovascular.ecg", device="openvino")
    assert other.info["grade"] == "near" and other.info["backend"] == "openvino"
    difference = np.abs(other.sample(40, seed=11, start=3).astype(int) - forty)
    assert (difference == 0).mean() >= 0.995
    assert (difference > 1).mean() <= 1e-6


def test_exported_file_is_a_model(portable, generator, forty):
    path = portable.model.source.path
    assert (portable.info["flavour"], portable.info["grade"]) == ("portable", "repeatable")
    assert portable.info["licence"] == "MIT" and portable.info["weights_sha256"] == generator.info["weights_sha256"]
    assert portable.graph_sha256 == generator.model.source.graph(5000, "portable").sha256
    samples = portable.sample(40, seed=11, start=3)
    difference = np.abs(samples.astype(int) - forty)
    assert (difference == 0).mean() >= ECG_EQUAL_SHARE and (difference > 1).mean() <= ECG_MORE_THAN_ONE_APART
    assert (np.concatenate(list(portable.batches(11, 3, 9, portable.model.options(), 4, 3))) == samples[:9]).all()
    other = portable
    with pytest.raises(dsb_fast.InputError, match="5000"):
        other.run(noise=np.zeros((1, 8, 2500), np.float32))
    with pytest.raises(dsb_fast.InputError, match="own model card"):
        dsb_fast.load(path, card={"scale": 1.0})


@pytest.mark.variant_independent
def test_importing_the_package_is_light(tmp_path):
    heavy = ("torch", "onnx", "onnxruntime", "numba", "matplotlib", "tqdm")
    code = f"import sys, dsb_fast; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True).strip() == "[]"


@pytest.mark.variant_independent
def test_running_needs_no_torch(tmp_path):
    code = (
        "import sys\n"
        "for name in ('torch', 'pandas', 'openvino', 'matplotlib'): sys.modules[name] = None\n"
        "import dsb_fast; print(dsb_fast.load('cardiovascular.ecg').sample(2).shape)"
    )
    env_cache = tmp_path / "cache"
    done = subprocess.run(
        [sys.executable, "-c", f"import os; os.environ['DSB_CACHE_DIR'] = {str(env_cache)!r}\n" + code],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "(2, 8, 5000)"


def test_exported_names():
    for name in dsb_fast.__all__:
        assert getattr(dsb_fast, name) is not None
