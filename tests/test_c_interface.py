"""Samples through the C interface: Python's bytes, whatever the range, the batch, the threads and the way they go."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from ctypes import byref, c_void_p
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references import images
from references.c_interface import CANCELLED, FLOAT32, GENERATION, INT16, STOPPED, UINT8, UNSUPPORTED, Failed
from references.embedding import needs_library, one_operator, open_model, sealed
from references.make_checkpoint import state_dict

import dsb_fast
from dsb_fast import random
from dsb_fast._models.ecg_source import open_source

pytestmark = needs_library
FLAVOURS = ("portable", "fused")
LAST = (1 << 64) - 1


@pytest.fixture(scope="module")
def files(tmp_path_factory, data) -> dict[str, Path]:
    """Exported files: a small ECG network, the published one, image networks, each in both flavours."""
    folder = tmp_path_factory.mktemp("files")
    torch.save(state_dict(6), folder / "net.pt")
    models = {
        "small": dsb_fast.load(folder / "net.pt", device="cpu", card={"length": 2500, "unit": "mV", "scale": 2.5}).model
    }
    for name in ("attn64", "rgba_noconst32"):
        models[name] = dsb_fast.load(images.folder(data, name), device="cpu").model
    out = {f"{name}-{flavour}": folder / f"{name}-{flavour}.onnx" for name in models for flavour in FLAVOURS}
    for name, model in models.items():
        for flavour in FLAVOURS:
            model.export(out[f"{name}-{flavour}"], flavour)
    return out


@pytest.fixture(scope="module")
def opened(files):
    """Each file opened in C, and in Python on the CPU."""
    pairs = {name: (open_model(path, threads=2), dsb_fast.load(path, device="cpu")) for name, path in files.items()}
    yield pairs
    for model, _ in pairs.values():
        model.__exit__()


NAMES = [f"{name}-{flavour}" for name in ("small", "attn64", "rgba_noconst32") for flavour in FLAVOURS]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("start", "count"), [(0, 1), (0, 37), (5, 16), ((1 << 40) + 3, 9), (LAST - 2, 3), (7, 0)])
def test_samples_are_pythons(opened, name, start, count):
    model, generator = opened[name]
    assert np.array_equal(
        model.generate(count, seed=LAST, start=start), generator.sample(count, seed=LAST, start=start)
    )


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_published_ecgs(generator, tmp_path, flavour):
    open_source(None).export(tmp_path / "ecg.onnx", flavour)
    same = generator if flavour == "fused" else dsb_fast.load(tmp_path / "ecg.onnx", device="cpu")
    with open_model(tmp_path / "ecg.onnx") as model:
        for leads in (8, 12):
            assert np.array_equal(model.generate(70, seed=3, leads=leads), same.sample(70, seed=3, leads=leads))
        info = model.info()
        assert (info["grade"], info["flavour"]) == (same.info["grade"], flavour)
        assert info["licence"] == "MIT" and info["unit"] == "microvolt" and info["sampling_rate_hz"] == 500


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(NAMES),
    seed=st.integers(0, LAST),
    start=st.integers(0, 1 << 50),
    count=st.integers(1, 21),
    batch=st.integers(0, 30),
    streamed=st.booleans(),
)
def test_neither_range_nor_batch_nor_way_changes_a_sample(opened, name, seed, start, count, batch, streamed):
    model, generator = opened[name]
    make = model.stream if streamed else model.generate
    whole = generator.sample(count + 2, seed=seed, start=start)
    assert np.array_equal(make(count, seed=seed, start=start + 1, batch_size=batch), whole[1 : count + 1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("threads", [1, 3, 16])
def test_threads_change_nothing(files, opened, name, threads):
    expected = opened[name][0].generate(20, seed=1)
    with open_model(files[name], threads=threads) as model:
        assert model.info()["threads"] == threads
        assert np.array_equal(model.generate(20, seed=1, batch_size=3), expected)
        assert np.array_equal(model.stream(20, seed=1, batch_size=3), expected)


@pytest.mark.parametrize("name", NAMES)
def test_raw_float32_is_the_networks_output(opened, name):
    model, generator = opened[name]
    raw = model.generate(5, seed=2, start=8, format=FLOAT32)
    if name.startswith("small"):
        noise = random.uniform(2, 8, 5, (8, 2500), low=-1.0, high=1.0)
        expected = generator.run(noise=noise)["signal"]
    else:
        size, latent = generator.info["image_size"], generator.info["latent_dim"]
        inputs = {"z": random.normal(2, 8, 5, latent), "noise": random.uniform(2, 8, 5, (size, size), 1)}
        expected = generator.run(**inputs, truncation_psi=generator.info["truncation"])["image"]
    assert raw.dtype == np.float32 and (raw.view(np.int32) == expected.view(np.int32)).all()


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("small")])
@pytest.mark.parametrize("truncation", [0.0, 0.3, 1.0, -1.5])
def test_truncation(opened, name, truncation):
    model, generator = opened[name]
    made = model.generate(3, truncation=truncation, has_truncation=1, format=UINT8)
    assert np.array_equal(made, generator.sample(3, truncation=truncation))


def test_a_card_in_millivolts_and_twelve_leads(opened):
    for flavour in FLAVOURS:
        model, generator = opened[f"small-{flavour}"]
        assert np.array_equal(model.generate(6, leads=12, format=INT16), generator.sample(6, leads=12))
        names = [model.text("dsb_model_lead", 12, index) for index in range(12)]
        assert names == ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]


@pytest.mark.parametrize("name", NAMES)
def test_info_is_the_models(opened, name):
    model, generator = opened[name]
    info, python = model.info(), generator.info
    for key in ("model", "title", "flavour", "licence", "citation", "weights_sha256", "grade", "variant"):
        assert info[key] == python[key], key
    assert info["graph_sha256"] == generator.graph_sha256 == model.text("dsb_model_property", b"graph_sha256")
    assert info["kind"] == (1 if name.startswith("small") else 2)
    assert "synthetic" in info["synthetic"] and Path(info["onnxruntime_library"]).is_file()
    layout = model.layout()
    assert [*layout.shape[: layout.rank]] == python["output"]["shape"][1:]


def test_sixteen_threads_on_one_model_and_thousands_of_calls(opened):
    for name in ("small-fused", "small-portable", "rgba_noconst32-fused"):
        model, generator = opened[name]
        expected = generator.sample(64, seed=9)

        def call(number, model=model, expected=expected):
            first, count = number % 60, 1 + number % 4
            return np.array_equal(model.generate(count, seed=9, start=first), expected[first : first + count])

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(call, range(3000 if name == "small-fused" else 500))), name


def test_a_callback_ends_a_stream(opened):
    for name in NAMES:
        seen = []

        def stop_at_the_third(first, count, seen=seen):
            seen.append(count)
            return len(seen) == 3

        with pytest.raises(Failed, match="callback") as raised:
            opened[name][0].stream(50, stop_at_the_third, batch_size=4)
        assert raised.value.status == STOPPED and seen == [4, 4, 4]


class _Cancellation:
    def __init__(self, library):
        self.c, self.handle = library.c, c_void_p()
        library.check(self.c.dsb_cancellation_create(byref(self.handle)))

    def cancel(self):
        self.c.dsb_cancellation_cancel(self.handle)

    def destroy(self):
        self.c.dsb_cancellation_destroy(self.handle)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["generate", "stream"])
def test_calls_are_cancelled_from_another_thread(opened, name, way):
    model = opened[name][0]
    token = _Cancellation(model.library)
    timer = threading.Timer(0.2, token.cancel)
    timer.start()
    begin = time.monotonic()
    with pytest.raises(Failed, match="cancelled") as raised:  # would take minutes
        if way == "stream":
            model.stream(1_000_000, lambda *_: 0, cancellation=token.handle)
        else:
            for _ in range(10_000):
                model.generate(200, cancellation=token.handle)
    timer.join()
    assert raised.value.status == CANCELLED and time.monotonic() - begin < 60
    with pytest.raises(Failed, match="cancelled"):  # for good
        model.generate(1, cancellation=token.handle)
    token.destroy()
    assert len(model.generate(1)) == 1


def test_a_cancelled_token_ends_every_call_that_has_it(opened):
    model, token = opened["attn64-portable"][0], _Cancellation(opened["attn64-portable"][0].library)

    def call(_):
        with pytest.raises(Failed) as raised:
            model.generate(100_000, cancellation=token.handle)
        return raised.value.status

    with ThreadPoolExecutor(4) as pool:
        statuses = pool.map(call, range(4))
        time.sleep(0.3)
        token.cancel()
        assert list(statuses) == [CANCELLED] * 4
    token.destroy()


def test_values_that_are_no_numbers_are_an_error(tmp_path):
    (tmp_path / "x.onnx").write_bytes(sealed(one_operator("Sqrt")))
    with open_model(tmp_path / "x.onnx") as model:
        for leads in (8, 12):
            with pytest.raises(Failed, match="not numbers") as raised:
                model.generate(3, leads=leads)
            assert raised.value.status == GENERATION
        with pytest.raises(Failed, match="not numbers"):
            model.stream(40, batch_size=2)
        assert np.isnan(model.generate(3, format=FLOAT32)).any()


def test_what_a_model_does_not_have(opened):
    ecg, image = opened["small-fused"][0], opened["attn64-fused"][0]
    for model, request in [
        (ecg, {"leads": 11}), (ecg, {"leads": -1}), (ecg, {"format": UINT8}), (ecg, {"format": 9}), (ecg, {"noise": 1}),
        (ecg, {"format": FLOAT32, "leads": 12}), (ecg, {"has_truncation": 1}), (ecg, {"has_label": 1}),
        (image, {"leads": 8}), (image, {"format": INT16}), (image, {"has_label": 1, "label": 3}), (image, {"noise": 2}),
        (image, {"noise": 3}), (image, {"noise": 77}),
    ]:  # fmt: skip
        with pytest.raises(Failed) as raised:
            model.generate(1, **request)
        assert raised.value.status == UNSUPPORTED, request
