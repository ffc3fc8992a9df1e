"""NVIDIA's and rosinality's models: golden parity, samples by the contract's formulas, the same bits however made."""

from __future__ import annotations

import json

import dsb_fast.export.nv_pickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import images as lucid_images
from references.arrays import close, identical
from references.images import FLAVOURS
from references.nv_samples import GOLDEN, Exact, alike, generator, pickled, saved
from tolerances import OPS, STYLEGAN2_IMAGE

import dsb_fast
from dsb_fast import _labels, random
from dsb_fast._models import card, registry

CONDITIONAL, PLAIN, TRAINING = (
    "nvlabs/sg3repo64_cond_skip.pkl", "nvlabs/ada32_uncond_skip.pkl", "rosinality/size64_train.pt",
)  # fmt: skip
SMALL = {"mapping": {"num_layers": 2}, "synthesis": {"channel_base": 32, "channel_max": 4}}


@pytest.fixture(scope="module")
def loaded(data):
    """The generator of a golden checkpoint in a flavour, each opened once."""
    opened = {}

    def load(name, flavour=FLAVOURS[0], network="ema"):
        key = name, flavour, network
        if key not in opened:
            opened[key] = generator(data / name, flavour, network)
        return opened[key]

    return load


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A conditional network of five classes, one without noise and mean of w, and a file without noise maps."""
    folder = tmp_path_factory.mktemp("small")
    conditional = {**SMALL, "c_dim": 5, "z_dim": 6, "w_dim": 7, "img_resolution": 8}
    unguided = {"mapping": {"num_layers": 2, "w_avg_beta": None, "activation": "swish"}}
    silent = {"synthesis": {**SMALL["synthesis"], "use_noise": False}}
    paths = {
        "conditional": pickled(folder / "c.pkl", **conditional),
        "no mean": pickled(folder / "m.pkl", **{**conditional, **unguided}),
        "no noise": pickled(folder / "n.pkl", "sg3repo", **{**SMALL, **silent}),
    }
    return {name: (path, generator(path)) for name, path in paths.items()}


def _golden(data, name) -> tuple[dict, dict]:
    stem = data / name.rpartition(".")[0]
    with np.load(f"{stem}.golden.npz", allow_pickle=False) as file:
        return dict(file), json.loads(stem.with_suffix(".json").read_text())


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", [name for name in GOLDEN if name.startswith("nvlabs")])
def test_nvidias_golden_images(loaded, data, name, flavour):
    (golden, said), model = _golden(data, name), loaded(name, flavour)
    w = model.mapping(golden["z"], golden["c"])
    close(w, golden["ws"], OPS)
    identical(model.mean_style, golden["w_avg"])
    for noise in ("const", "none"):
        close(model.synthesis(w, noise), golden[f"img_psi1_{noise}"], STYLEGAN2_IMAGE)
        close(model.synthesis(golden["ws_trunc_cutoff"], noise), golden[f"img_trunc_cutoff_{noise}"], STYLEGAN2_IMAGE)
    label = {"label": golden["c"]} if golden["c"].size else {}
    image = model.run(z=golden["z"], **label)["image"]
    close(image, golden["img_psi1_const"], STYLEGAN2_IMAGE)
    levels = np.clip(golden["img_psi1_const"] * np.float32(127.5) + np.float32(128), 0, 255).astype(np.uint8)
    alike(model.model.outputs({"image": image}, None), levels.transpose(0, 2, 3, 1))
    image = model.run(z=golden["z"], **label, truncation_psi=said["truncation_psi"])["image"]
    close(image, golden["img_trunc_all_const"], STYLEGAN2_IMAGE)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", [name for name in GOLDEN if name.startswith("rosinality")])
def test_rosinalitys_golden_images(loaded, data, name, flavour):
    (golden, _), model = _golden(data, name), loaded(name, flavour)
    close(model.mapping(golden["z"]), golden["latent_psi1"], OPS)
    noise = [golden[f"noise_{k}"] for k in range(len(model.info["noise_sizes"]))]
    close(model.synthesis(golden["latent_trunc"], noise), golden["img_trunc_given_noise"], STYLEGAN2_IMAGE)
    close(model.synthesis(golden["wplus"]), golden["img_wplus"], STYLEGAN2_IMAGE)
    close(model.run(z=golden["z"], truncation_psi=3)["image"], golden["img_stored_noise"], STYLEGAN2_IMAGE)
    given = {f"noise_{k}": plane for k, plane in enumerate(noise)}
    with_noise = model.run(z=golden["z"], **given)["image"]
    close(with_noise, model.synthesis(golden["latent_psi1"], noise), STYLEGAN2_IMAGE)


OPTIONS = [
    {},
    {"truncation": 0.6},
    {"truncation": 1.3, "noise": "random"},
    {"truncation": 0.5, "truncation_cutoff": 3, "noise": "none"},
    {"truncation": 0.7, "mixing": True, "noise": "random"},
    {"truncation": 0.4, "truncation_cutoff": 5, "mixing": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", [CONDITIONAL, TRAINING, PLAIN])
def test_samples_are_the_contracts(loaded, data, name, flavour, options):
    model, start = loaded(name, flavour), 2**32 - 1
    how = {**options, "cutoff": options.get("truncation_cutoff")}
    how.pop("truncation_cutoff", None)
    alike(
        model.sample(2, seed=2**33 + 7, start=start, **options),
        Exact(data / name).samples(2**33 + 7, [start, start + 1], **how),
    )


@pytest.mark.parametrize("label", [2, [0.25, -0.5, 1.0]])
def test_a_label_that_was_asked_for(loaded, data, label):
    expected = Exact(data / CONDITIONAL).samples(3, [0, 1], label=label)
    for given_label in (label, np.asarray(label)):
        alike(loaded(CONDITIONAL).sample(2, seed=3, label=given_label), expected)


def test_random_labels_are_all_classes_and_each_samples_own(loaded):
    numbers = _labels.classes(7, 0, 4000, 3)
    assert (np.bincount(numbers) > 1200).all() and set(_labels.classes(7, 0, 10, 1)) == {0}
    assert (_labels.classes(7, 1000, 20, 3) == numbers[1000:1020]).all()
    assert _labels.classes(7, 0, 5000, 65536).max() < 65536
    model = loaded(CONDITIONAL)
    whole = model.sample(4, seed=7)
    for k in range(4):
        assert (model.sample(1, seed=7, start=k, label=int(numbers[k]))[0] == whole[k]).all()
        assert (model.sample(1, seed=7, start=k, label=int(numbers[k] + 1) % 3)[0] != whole[k]).any()
    assert (model.sample(4, seed=7, label="random") == whole).all()


@pytest.mark.parametrize("flavour", FLAVOURS)
@given(
    st.sampled_from([CONDITIONAL, PLAIN, TRAINING]), st.sampled_from(OPTIONS), st.integers(0, 11), st.integers(0, 12),
    st.integers(1, 13), st.integers(1, 3),
)  # fmt: skip
@settings(max_examples=20, deadline=None)
def test_batches_threads_and_ranges_do_not_change_samples(loaded, flavour, name, asked, first, count, size, threads):
    model = loaded(name, flavour)
    options = model.model.options(**asked)
    whole = model.make(11, 3, 12, options)
    count = min(count, 12 - first)
    parts = list(model.batches(11, 3 + first, count, options, size, threads))
    assert ((np.concatenate(parts) if parts else whole[:0]) == whole[first : first + count]).all()


@pytest.mark.parametrize("name", [PLAIN, CONDITIONAL])
def test_seeds_as_nvidias_tools_count_them(loaded, data, name):
    model = loaded(name)
    options = {"numpy_seed": True, "truncation": 0.7, **({"label": 1} if name == CONDITIONAL else {})}
    drawn = np.random.RandomState(85).randn(model.info["latent_dim"])
    identical(model.model.latents(80, 5, 1, model.model.options(**options))[0], drawn.astype(np.float32))
    published = Exact(data / name).samples(85, [0], truncation=0.7, label=options.get("label"), numpy_seed=True)
    image = model.sample(1, seed=85, **options)
    alike(image, published)
    for seed, start in ((0, 85), (85, 0), (80, 5)):
        assert (model.sample(1, seed=seed, start=start, **options) == image).all()
    assert (model.sample(3, seed=84, **options)[1] == image[0]).all()
    mixed = Exact(data / name).samples(85, [2], mixing=True, label=options.get("label"), numpy_seed=True)
    alike(model.sample(1, seed=85, start=2, **{**options, "truncation": 1}, mixing=True), mixed)


def test_seeds_that_numpy_does_not_have(loaded):
    model = loaded(PLAIN)
    assert len(model.sample(1, seed=2**32 - 1, numpy_seed=True)) == 1
    for seed, start, count in ((2**32, 0, 1), (2**32 - 1, 0, 2), (1, 2**32 - 1, 1)):
        for call in (model.sample, model.stream):
            with pytest.raises(dsb_fast.InputError, match=r"numpy_seed: .*2\^32-1"):
                call(count, seed=seed, start=start, numpy_seed=True)


def test_seeds_of_other_models_are_their_own(data, generator):
    other = dsb_fast.load(lucid_images.folder(data, "plain32"), device="cpu")
    for model, said in ((other, "numpy_seed: True; stylegan2-pytorch draws"), (generator, "numpy_seed")):
        with pytest.raises(dsb_fast.InputError, match=said):
            model.sample(1, numpy_seed=True)


@pytest.mark.parametrize("name", ["training", "no mean"])
def test_the_mean_of_w_where_a_file_has_none(loaded, small, data, name):
    path, model = (data / TRAINING, loaded(TRAINING)) if name == "training" else small[name]
    assert model.info["mean_estimated"]
    mean = model.mean_style
    assert mean.dtype == np.float32
    close(mean, Exact(path).mean, 1e-6)
    alike(model.sample(2, seed=1, truncation=0.5), Exact(path).samples(1, [0, 1], truncation=0.5))


def test_noise_that_is_not_there(small, tmp_path):
    path, model = small["no noise"]
    assert model.info["noise_sizes"] == [] and model.info["noise"] == ["none"]
    whole = model.sample(2, seed=3)
    for noise in ("random", "const", "none"):
        assert (model.sample(2, seed=3, noise=noise) == whole).all()
    alike(whole, Exact(path).samples(3, [0, 1], noise="none"))
    w = model.mapping(random.normal(0, 0, 2, 2))
    identical(model.synthesis(w), model.synthesis(w, []))
    state = saved(tmp_path / "x.pt")
    import torch

    tree = torch.load(state)
    tree["g_ema"] = {name: value for name, value in tree["g_ema"].items() if not name.startswith("noises")}
    torch.save(tree, state)
    model = dsb_fast.load(state, device="cpu")
    assert model.info["noise"] == ["random", "none"] and model.model.options().noise == "random"
    assert (model.sample(2) != model.sample(2, noise="none")).any()
    w = model.mapping(random.normal(0, 0, 2, 2))
    for call in (lambda: model.sample(1, noise="const"), lambda: model.synthesis(w, "const")):
        with pytest.raises(dsb_fast.InputError, match="stores no noise maps"):
            call()
    with pytest.raises(dsb_fast.InputError, match="noise: None"):
        model.synthesis(w)
    with pytest.raises(dsb_fast.InputError, match="noise_0"):
        model.run(z=np.zeros((1, 2)))


def test_the_plain_network(loaded, data):
    averaged, plain = loaded(CONDITIONAL), loaded(CONDITIONAL, network="plain")
    assert (averaged.info["network"], plain.info["network"]) == ("ema", "plain")
    alike(plain.sample(2, truncation=0.5), Exact(data / CONDITIONAL, "plain").samples(0, [0, 1], truncation=0.5))
    assert (averaged.sample(2) != plain.sample(2)).any()
    with pytest.raises(dsb_fast.CheckpointError, match="no network 'plain'"):
        dsb_fast.load(data / "rosinality/size32.pt", network="plain")


def test_info_says_what_is_needed(loaded):
    info = loaded(CONDITIONAL).info
    assert [info["inputs"][k]["shape"] for k in ("z", "label", "truncation_psi")] == [["N", 20], ["N", 3], []]
    assert info["output"] == {"shape": ["N", 64, 64, 3], "dtype": "uint8", "unit": "grey level"}
    for key, value in {
        "model": "nvidia-stylegan2", "family": "nvlabs", "style_dim": 28, "num_ws": 10, "labels": 3, "truncation": 1.0,
        "noise_sizes": [4, 8, 8, 16, 16, 32, 32, 64, 64], "architecture": "skip", "licence": "unknown",
        "synthetic": True, "grade": "repeatable", "assumed": [],
    }.items():  # fmt: skip
        assert info[key] == value, key
    assert json.loads(json.dumps(info)) == info


WRONG_OPTIONS = [
    ({"label": 3}, "label: 3; the classes are 0 to 2"), ({"label": -1}, "label: -1"), ({"label": True}, "label"),
    ({"label": [1.0, 0.0]}, "label.*3 numbers"), ({"label": [1, 0, float("nan")]}, "finite"), ({"label": 1.5}, "label"),
    ({"label": "cat"}, "label: 'cat'"), ({"truncation_cutoff": 11}, "truncation_cutoff: 11; .* 0 to 10"),
    ({"truncation_cutoff": -1}, "cutoff"), ({"truncation_cutoff": 1.0}, "cutoff"), ({"noise": "loud"}, "noise: 'loud'"),
    ({"noise": 3}, "noise"), ({"mixing": 1}, "mixing"), ({"numpy_seed": 1}, "numpy_seed"), ({"leads": 8}, "leads"),
    ({"truncation": "much"}, "truncation"), ({"network": "plain"}, "network: 'plain'; ema was loaded"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "said"), WRONG_OPTIONS)
def test_wrong_options_are_named(loaded, options, said):
    with pytest.raises(dsb_fast.InputError, match=said) as raised:
        loaded(CONDITIONAL).sample(1, **options)
    assert "\n" not in str(raised.value)


def test_a_network_without_labels_takes_none(loaded):
    for call in (lambda g: g.sample(1, label=0), lambda g: g.mapping(np.zeros((1, 32)), 0)):
        with pytest.raises(dsb_fast.InputError, match="label: 0; this network is not conditional"):
            call(loaded(PLAIN))
    assert loaded(PLAIN).mapping(np.zeros((1, 32)), np.zeros((1, 0))).shape == (1, 8, 24)


Z, W, C = np.zeros((2, 20)), np.zeros((2, 10, 28)), np.zeros((2, 3))
WRONG_INPUTS = [
    (lambda g: g.run(), "z, label is missing"), (lambda g: g.run(z=Z), "label is missing"),
    (lambda g: g.run(z=Z, label=C, noise=Z), "not noise"), (lambda g: g.run(z=Z, label=C[:1]), "label is for 1"),
    (lambda g: g.run(z=Z, label=C, noise_0=np.zeros((2, 1, 4, 4))), "noise_1, .* is missing"),
    (lambda g: g.run(z=Z[:, 1:], label=C), r"z is \[2, 19\], needs \[N, 20\]"),
    (lambda g: g.mapping(Z), "label: missing"), (lambda g: g.mapping(Z, 4), "label: 4"),
    (lambda g: g.mapping(Z, "random"), "label: 'random'"),
    (lambda g: g.mapping(Z, C[:1]), "label"), (lambda g: g.mapping(Z[0], 1), "z is"),
    (lambda g: g.synthesis(W[:, 1:]), r"w is \[2, 9, 28\]"), (lambda g: g.synthesis(W, "random"), "noise: 'random'"),
    (lambda g: g.synthesis(W, "loud"), "noise: 'loud'"), (lambda g: g.synthesis(W, [Z]), "1 planes; .*9 planes"),
    (lambda g: g.synthesis(W, np.zeros((2, 1, 4, 4))), "noise: ndarray"),
    (lambda g: g.synthesis(W, [np.zeros((2, 1, 4, 4))] * 9), r"noise_1 is \[2, 1, 4, 4\], needs \[N, 1, 8, 8\]"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "said"), WRONG_INPUTS)
def test_wrong_inputs_are_named(loaded, call, said):
    with pytest.raises(dsb_fast.InputError, match=said) as raised:
        call(loaded(CONDITIONAL))
    assert "\n" not in str(raised.value)


def test_labels_of_the_mapping(loaded):
    z = random.normal(0, 0, 2, 20)
    rows = loaded(CONDITIONAL).mapping(z, np.eye(3)[[1, 1]])
    identical(loaded(CONDITIONAL).mapping(z, 1), rows)
    identical(loaded(CONDITIONAL).mapping(z, [0.0, 1.0, 0.0]), rows)


def test_a_checkpoint_is_parsed_once(data, tmp_path, monkeypatch):
    monkeypatch.setenv("DSB_CACHE_DIR", str(tmp_path))
    first = dsb_fast.load(data / CONDITIONAL, device="cpu").sample(2, mixing=True)

    def never(*_):
        raise AssertionError("parsed again")

    monkeypatch.setattr(dsb_fast.export.nv_pickle, "load", never)
    again = dsb_fast.load(data / CONDITIONAL, device="cpu")
    assert (again.sample(2, mixing=True) == first).all()
    with pytest.raises(AssertionError, match="parsed again"):
        dsb_fast.load(data / CONDITIONAL, device="cpu", network="plain")


def test_what_is_said_of_a_file(data, tmp_path):
    (tmp_path / "x.pkl").write_bytes((data / PLAIN).read_bytes())
    (tmp_path / "x.pkl.card.json").write_text('{"licence": "CC0", "truncation": 0.5}')
    model = dsb_fast.load(tmp_path / "x.pkl", device="cpu", card={"citation": "me"})
    assert (model.info["licence"], model.info["citation"], model.model.options().truncation) == ("CC0", "me", 0.5)
    chosen = dsb_fast.load(
        data / PLAIN, device="cpu", card={"noise": "none", "truncation_cutoff": 3, "truncation": 0.5}
    )
    expected = model.sample(2, noise="none", truncation_cutoff=3, truncation=0.5)
    assert (chosen.sample(2) == expected).all() and chosen.info["noise"] == ["none", "const", "random"]
    for said in ({"lr_mlp": 0.1}, {"image_size": 32}, {"noise": "loud"}, {"truncation_cutoff": 9}):
        with pytest.raises(dsb_fast.InputError, match=next(iter(said))):
            dsb_fast.load(data / PLAIN, card=said)


def test_names_of_families(data):
    for name, family in GOLDEN.items():
        assert dsb_fast.load(family, checkpoint=data / name, device="cpu").info["model"] == family
    with pytest.raises(dsb_fast.CheckpointError, match="no rosinality-stylegan2 network but a nvidia-stylegan2 one"):
        dsb_fast.load("rosinality-stylegan2", checkpoint=data / PLAIN)
    with pytest.raises(dsb_fast.ModelError, match="--checkpoint"):
        dsb_fast.load("nvidia-stylegan2")
    registered = dsb_fast.load("digestive.gitract", checkpoint=data / PLAIN, device="cpu")
    assert registered.info["model"] == "digestive.gitract" and registered.model.options().truncation == 0.75


@pytest.mark.skipif(FLAVOURS == ("portable",), reason="the operator library is not built")
def test_a_faster_precision_is_offered_where_it_is_close_enough(data):
    for name in (CONDITIONAL, TRAINING):
        try:
            model = dsb_fast.load(data / name, device="cpu", precision="bf16")
        except dsb_fast.DeviceError as error:
            assert "fails its acceptance test" in str(error)
        else:
            assert model.info["grade"] == "near"
            assert model.sample(1, noise="none", mixing=True).shape == (1, 64, 64, 3)


CARD = """
name = "skeletal.xray"
title = "Small pictures"
loader = "stylegan2"
licence = "CC-BY-4.0"
citation = "Nobody N. A paper that was never written."
source = "made by a test"
intended_use = "Tests."
limits = "Random numbers."
[inputs.z]
shape = ["N", 20]
dtype = "float32"
[outputs.image]
shape = ["N", 64, 64, 3]
dtype = "uint8"
[defaults]
truncation = 0.5
truncation_cutoff = 3
noise = "random"
[weights]
package = "xray_models"
file = "net.pkl"
"""


def test_a_package_adds_a_network_of_nvidias(data, tmp_path, monkeypatch):
    (tmp_path / "xray_models").mkdir()
    (tmp_path / "xray_models/__init__.py").write_text("")
    (tmp_path / "xray_models/net.pkl").write_bytes((data / CONDITIONAL).read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    added = card.parse(CARD.encode(), "xray.toml")
    monkeypatch.setattr(registry, "_added", lambda: {added.name: added})
    model = dsb_fast.load("skeletal.xray", device="cpu")
    assert (model.info["model"], model.info["category"], model.info["licence"]) == (added.name, "skeletal", "CC-BY-4.0")
    how = {"truncation": 0.5, "truncation_cutoff": 3, "noise": "random"}
    assert (model.sample(2) == dsb_fast.load(data / CONDITIONAL, device="cpu").sample(2, **how)).all()
    model.model.export(tmp_path / "x.onnx", "portable")
    exported = dsb_fast.load(tmp_path / "x.onnx", device="cpu")
    assert exported.info["model"] == added.name
    alike(exported.sample(2), model.sample(2))
