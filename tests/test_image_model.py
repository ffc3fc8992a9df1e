"""Image models: golden parity, samples by the contract's formula, the same bits however they are made, refusals."""

from __future__ import annotations

import dsb_fast.export.torch_file
import numpy as np
import pytest
import torch
from dsb_fast.export import lucid, mean_style
from hypothesis import given, settings
from hypothesis import strategies as st
from references import images
from references.arrays import close, identical
from references.images import FLAVOURS, NAMES
from tolerances import LUCID_IMAGE, OPS

import dsb_fast
from dsb_fast import _fallback, _kernels

NETWORKS = {"ema": "SE", "plain": "S"}


@pytest.fixture(scope="module")
def loaded(data):
    """The generator of a golden checkpoint in a flavour, each opened once."""
    opened = {}

    def load(name, flavour=FLAVOURS[0], network="ema"):
        key = name, flavour, network
        if key not in opened:
            opened[key] = images.generator(images.folder(data, name), flavour, network)
        return opened[key]

    return load


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", NAMES)
def test_golden_parity(loaded, data, name, flavour, network):
    golden, generator, part = images.golden(data, name), loaded(name, flavour, network), NETWORKS[network]
    assert (generator.info["flavour"], generator.info["network"]) == (flavour, network)
    assert generator.info["grade"] == {"portable": "repeatable", "fused": "exact"}[flavour]
    w = generator.mapping(golden["z"])
    close(w, np.repeat(golden[f"w_{part}"][:, None], w.shape[1], axis=1), OPS)
    raw = golden[f"img_{part}_raw"]
    image = generator.synthesis(golden[f"styles_{part}"], golden["noise"])
    close(image, raw, LUCID_IMAGE)
    levels = generator.model.outputs({"image": image}, None)
    expected = (np.clip(raw, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8).transpose(0, 2, 3, 1)
    apart = np.abs(levels.astype(int) - expected)
    assert (apart == 0).mean() >= 0.995 and apart.max() <= 1
    if network == "ema":
        image = generator.run(z=golden["z"], noise=golden["noise"])["image"]
        close(image, golden["img_SE_raw_psi1"], LUCID_IMAGE)
        close(generator.synthesis(golden["mix_styles"], golden["noise"]), golden["img_mix_raw"], LUCID_IMAGE)


@pytest.mark.parametrize("name", ["plain32", "v190_attn32"])
def test_the_rule_of_the_mean_style_gives_the_packages(data, name):
    golden, (checkpoint, _) = images.golden(data, name), lucid.load(images.folder(data, name))
    styles = mean_style.styles(checkpoint.networks["plain"].mapping, golden["av_z"], checkpoint.lr_mlp)
    close(mean_style.of_styles(styles), golden["av_S"][0], 1e-5)
    apart = mean_style.styles(checkpoint.networks["plain"].mapping, golden["av_z"][777:778], checkpoint.lr_mlp)
    identical(apart, styles[777:778])


@pytest.mark.parametrize("network", NETWORKS)
def test_the_mean_style_is_that_of_the_plain_network(loaded, data, network):
    mean = loaded("rgba_noconst32", network=network).mean_style
    assert mean.dtype == np.float32 and mean.shape == (40,)
    close(mean, images.mean_style(images.folder(data, "rgba_noconst32")), 1e-6)


@pytest.mark.parametrize("mixing", [False, True])
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", ["rgba_noconst32", "v190_attn32"])
def test_samples_are_the_contracts(loaded, data, name, flavour, mixing):
    generator, start = loaded(name, flavour), 2**32 - 1
    expected = images.samples(images.folder(data, name), 2**33 + 7, [start, start + 1], 0.7, mixing)
    got = generator.sample(2, seed=2**33 + 7, start=start, truncation=0.7, mixing=mixing)
    assert got.dtype == np.uint8 and got.shape == expected.shape
    apart = np.abs(got.astype(int) - expected)
    assert (apart == 0).mean() >= 0.995 and apart.max() <= 1
    assert expected.std() > 5


@pytest.mark.parametrize("flavour", FLAVOURS)
@given(
    st.sampled_from(["plain32", "v190_attn32"]), st.booleans(), st.integers(0, 19), st.integers(0, 20),
    st.integers(1, 21), st.integers(1, 4),
)  # fmt: skip
@settings(max_examples=20, deadline=None)
def test_batches_threads_and_ranges_do_not_change_samples(
    loaded, flavour, name, mixing, first, count, batch_size, threads
):
    generator = loaded(name, flavour)
    options = generator.model.options(mixing=mixing, truncation=0.8)
    whole = generator.make(11, 3, 20, options)
    count = min(count, 20 - first)
    parts = list(generator.batches(11, 3 + first, count, options, batch_size, threads))
    got = np.concatenate(parts) if parts else whole[:0]
    assert (got == whole[first : first + count]).all()


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", ["attn64", "rgba_noconst32", "v190_attn32"])
def test_image_bits_do_not_depend_on_the_batch(loaded, name, flavour):
    generator = loaded(name, flavour)
    inputs = generator.model.inputs(3, 0, 17, generator.model.options(truncation=0.5))
    psi = {"truncation_psi": inputs.pop("truncation_psi")}
    whole = generator.run(**inputs, **psi)["image"]
    for batch in (1, 2, 3, 8, 16):
        parts = [
            generator.run(**{k: v[at : at + batch] for k, v in inputs.items()}, **psi)["image"]
            for at in range(0, 17, batch)
        ]
        identical(np.concatenate(parts), whole)


def test_truncation_label_and_seed_shape_samples(loaded):
    generator = loaded("plain32")
    plain = generator.sample(3, seed=4)
    assert (plain == generator.sample(3, seed=4, truncation=1, noise="random", network="ema", label=None)).all()
    for other in ({"truncation": 0.5}, {"mixing": True}):
        assert (generator.sample(3, seed=4, **other) != plain).any(axis=(1, 2, 3)).all()
    assert (generator.sample(3, seed=5) != plain).any() and (plain[0] != plain[1]).any()
    w = np.repeat(generator.mean_style[None, None], 2 * 4, axis=0).reshape(2, 4, -1)
    noise = generator.model.inputs(4, 0, 2, generator.model.options())["noise"]
    levels = generator.model.outputs({"image": generator.synthesis(w, noise)}, None)
    apart = np.abs(levels.astype(int) - generator.sample(2, seed=4, truncation=0.0))
    assert (apart == 0).mean() >= 0.995 and apart.max() <= 1


def test_info_says_what_is_needed(loaded):
    info = loaded("rgba_noconst32").info
    assert info["output"] == {"shape": ["N", 32, 32, 4], "dtype": "uint8", "unit": "grey level"}
    assert [info["inputs"][k]["shape"] for k in ("z", "noise", "truncation_psi")] == [["N", 40], ["N", 32, 32], []]
    for key, value in {
        "image_size": 32, "channels": 4, "latent_dim": 40, "blocks": 4, "no_const": True, "attn_layers": [3],
        "lr_mlp": 0.2, "version": "1.5.10", "network": "ema", "truncation": 1.0, "assumed": [], "licence": "unknown",
        "citation": "unknown", "synthetic": True, "backend": "onnxruntime-cpu",
    }.items():  # fmt: skip
        assert info[key] == value, key


WRONG_OPTIONS = [
    ({"label": 3}, "label: 3; .*not conditional"), ({"truncation_cutoff": 2}, "truncation_cutoff"),
    ({"noise": "const"}, "noise: 'const'"), ({"noise": "none"}, "noise"), ({"leads": 8}, "leads"),
    ({"truncation": "much"}, "truncation"), ({"truncation": float("nan")}, "truncation"),
    ({"truncation": 1e39}, "truncation"), ({"truncation": True}, "truncation"), ({"mixing": 1}, "mixing"),
    ({"colour": "red"}, "colour"), ({"network": "plain"}, "network: 'plain'; ema was loaded"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "said"), WRONG_OPTIONS)
def test_wrong_options_are_named(loaded, options, said):
    with pytest.raises(dsb_fast.InputError, match=said) as raised:
        loaded("plain32").sample(1, **options)
    assert "\n" not in str(raised.value)


Z, NOISE, W = np.zeros((2, 48)), np.zeros((2, 32, 32)), np.zeros((2, 4, 48))


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "z, noise is missing"), ({"z": Z}, "noise is missing"), ({"z": Z, "noise": NOISE, "w": W}, "not w"),
        ({"z": Z[0], "noise": NOISE}, r"z is \[48\], needs \[N, 48\]"),
        ({"z": Z[:, 1:], "noise": NOISE}, r"z is \[2, 47\]"), ({"z": Z, "noise": NOISE[..., None]}, "noise is"),
        ({"z": Z, "noise": NOISE[:1]}, "noise is for 1 samples, z for 2"),
        ({"z": Z[:0], "noise": NOISE[:0]}, r"z is \[0, 48\]; it needs one sample"),
        ({"z": Z.astype(str), "noise": NOISE}, "z is <U"), ({"z": Z + 1j, "noise": NOISE}, "z is complex"),
        ({"z": Z, "noise": NOISE, "truncation_psi": [1.0]}, "truncation_psi is .* a single number"),
    ],
)  # fmt: skip
def test_run_names_a_wrong_input(loaded, inputs, said):
    with pytest.raises(dsb_fast.InputError, match=said):
        loaded("plain32").run(**inputs)


def test_parts_name_a_wrong_input(loaded):
    generator = loaded("plain32")
    for call, said in (
        (lambda: generator.synthesis(W), "noise: None"), (lambda: generator.synthesis(W, "const"), "noise: 'const'"),
        (lambda: generator.synthesis(W[:, 0], NOISE), "w is"), (lambda: generator.synthesis(W, NOISE[:1]), "noise"),
        (lambda: generator.mapping(Z[0]), "z is"), (lambda: generator.mapping(Z, label=1), "label: 1"),
    ):  # fmt: skip
        with pytest.raises(dsb_fast.InputError, match=said):
            call()


def test_an_ecg_network_has_no_styles(generator):
    for call in (lambda: generator.mapping(Z), lambda: generator.synthesis(W), lambda: generator.mean_style):
        with pytest.raises(dsb_fast.ModelError, match="is no StyleGAN2 network"):
            call()


def test_a_checkpoint_is_parsed_once(data, tmp_path, monkeypatch):
    monkeypatch.setenv("DSB_CACHE_DIR", str(tmp_path))
    path = images.folder(data, "fmap32")
    first = dsb_fast.load(path, device="cpu").sample(2, mixing=True)

    def never(*_):
        raise AssertionError("parsed again")

    monkeypatch.setattr(dsb_fast.export.torch_file, "load", never)
    again = dsb_fast.load(path, device="cpu")
    assert (again.sample(2, mixing=True) == first).all() and again.info["style_depth"] == 4
    with pytest.raises(AssertionError, match="parsed again"):
        dsb_fast.load(path, device="cpu", network="plain")


def _state(data) -> dict:
    path = images.folder(data, "plain32") / "model_7.pt"
    return torch.load(path, map_location="cpu", weights_only=True)


def test_what_the_file_does_not_say_is_assumed_or_given(data, tmp_path):
    path = tmp_path / "model_3.pt"
    torch.save(_state(data), path)
    generator = dsb_fast.load(path, device="cpu")
    assert generator.info["assumed"] == ["lr_mlp"] and generator.info["lr_mlp"] == 0.1
    other = dsb_fast.load(path, device="cpu", card={"lr_mlp": 0.2, "licence": "CC0", "truncation": 0.5})
    assert other.info["assumed"] == [] and other.info["lr_mlp"] == 0.2 and other.info["licence"] == "CC0"
    assert other.model.options().truncation == 0.5
    assert (other.sample(1, truncation=1) != generator.sample(1)).any()
    (tmp_path / "model_3.pt.card.json").write_text('{"lr_mlp": 0.2}')
    assert (dsb_fast.load(tmp_path, device="cpu").sample(1) == other.sample(1, truncation=1)).all()
    with pytest.raises(dsb_fast.InputError, match="colour"):
        dsb_fast.load(path, device="cpu", card={"colour": "red"})
    with pytest.raises(dsb_fast.InputError, match="truncation"):
        dsb_fast.load(path, device="cpu", card={"truncation": "some"})


def test_output_that_is_no_number_fails(data, tmp_path):
    tree = _state(data)
    for name in tree["GAN"]:
        if "to_rgb.conv" in name:
            tree["GAN"][name].fill_(3e38)
    torch.save(tree, tmp_path / "model_1.pt")
    with pytest.raises(dsb_fast.GenerationError, match="not numbers"):
        dsb_fast.load(tmp_path, device="cpu").sample(1)


def test_grey_levels_without_the_extension():
    values = np.array([-np.inf, -1, -1e-9, 0, 1 / 510, 0.5, 254.5 / 255, 1, 1.5, np.inf], np.float32)
    image = np.concatenate([values, np.random.default_rng(0).standard_normal(86).astype(np.float32)])
    image = image.reshape(1, 4, 4, 6)
    expected = (np.clip(image, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8).transpose(0, 2, 3, 1)
    for grey_levels in (_kernels.grey_levels, _fallback.grey_levels):
        identical(np.ascontiguousarray(grey_levels(image, 255.0, 0.5)), expected)
        assert grey_levels(np.full((1, 3, 2, 2), np.nan, np.float32), 255.0, 0.5) is None
