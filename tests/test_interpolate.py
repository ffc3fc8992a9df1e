"""Interpolations: which latents are shown, with a stand-in for the network, and the command with a real checkpoint."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from references.image_generator import BLOCKS, LATENT, ImageGenerator

import dsb_fast
from dsb_fast import _latents, random
from dsb_fast._interpolate import Way, frames, interpolate, parse_seeds

WAY = Way(seed=9, points=3, steps=5)


def made(way: Way, generator=None) -> np.ndarray:
    """All frames of a way."""
    generator = generator or ImageGenerator()
    count, images = frames(generator, way)
    images = np.stack(list(images))
    assert len(images) == count
    return images


def grey(generator, image) -> np.ndarray:
    return generator.model.outputs({"image": image}, None)


def test_end_points_of_a_seed_are_stream_2_and_the_noise_is_that_of_sample_0():
    generator = ImageGenerator()
    found = made(WAY, generator)
    z = random.normal(9, 0, 3, LATENT, 2)
    noise = np.repeat(random.uniform(9, 0, 1, (16, 16), 1), 11, axis=0)
    path = _latents.path(z, 5)
    expected = ImageGenerator().run(z=path, noise=noise, truncation_psi=np.float32(0.75))["image"]
    assert found.shape == (11, 16, 16, 3) and (found == grey(generator, expected)).all()
    assert all((call["noise"] == noise[0]).all() for call in generator.calls)


def test_a_seed_for_every_end_point_begins_with_that_seeds_sample_0():
    """With one noise map, frames 0, 5 and 10 show the latents of sample 0 of seeds 4, 2**64 - 1 and 4."""
    generator = ImageGenerator()
    found = made(replace(WAY, seed=4, seeds=(4, 2**64 - 1, 4)), generator)
    assert (found[0] == generator.sample(1, seed=4)[0]).all() and (found[10] == found[0]).all()
    z = random.normal(2**64 - 1, 0, 1, LATENT)
    noise = random.uniform(4, 0, 1, (16, 16), 1)
    assert (found[5] == grey(generator, generator.run(z=z, noise=noise, truncation_psi=0.75)["image"])[0]).all()


@pytest.mark.parametrize("method", _latents.METHODS)
def test_w_space_goes_between_styles_and_truncates_after(method):
    generator = ImageGenerator()
    found = made(replace(WAY, space="w", method=method, truncation=0.5), generator)
    ends = generator.mapping(random.normal(9, 0, 3, LATENT, 2))[:, 0].astype(float)
    between = _latents.linear if method == "linear" else _latents.slerp
    noise = random.uniform(9, 0, 1, (16, 16), 1)
    for k in range(11):
        w = ends[2] if k == 10 else between(ends[k // 5], ends[k // 5 + 1], k % 5 / 5)
        styles = generator.mean_style + 0.5 * (w - generator.mean_style)
        image = generator.synthesis(np.repeat(styles[None, None], BLOCKS, axis=1).astype(np.float32), noise)
        assert np.abs(found[k].astype(int) - grey(generator, image)[0]).max() <= 1
    if method == "linear":  # z's end points are the same images, what lies between is not
        z = made(replace(WAY, method=method, truncation=0.5))
        assert (z[[0, 5, 10]] == found[[0, 5, 10]]).all()


@given(st.sampled_from(["z", "w"]), st.integers(2, 4), st.integers(1, 9), st.booleans())
@settings(max_examples=25, deadline=None)
def test_frames_do_not_depend_on_their_batch(space, points, steps, loop):
    way = Way(seed=1, points=points, steps=steps, space=space, loop=loop)
    found = made(way)
    assert len(found) == (points * steps if loop else (points - 1) * steps + 1)
    longer = made(replace(way, points=points + 1, loop=False))
    shared = (points - 1) * steps + 1
    assert (found[:shared] == longer[:shared]).all()


def test_truncation_is_the_models_own_unless_given():
    assert (made(WAY) == made(replace(WAY, truncation=0.75))).all()
    assert (made(WAY) != made(replace(WAY, truncation=1.0))).any()
    assert np.ptp(made(replace(WAY, truncation=0.0)).astype(int), axis=0).max() == 0


@pytest.mark.parametrize(
    ("change", "word"),
    [({"space": "y"}, "z, w"), ({"points": 1}, "points"), ({"points": 10**9}, "points"), ({"seeds": (3,)}, "seeds"),
     ({"steps": 0}, "steps"), ({"method": "cubic"}, "slerp, linear"), ({"seed": -1}, "seed")],
)  # fmt: skip
def test_wrong_ways(tmp_path, change, word):
    with pytest.raises(dsb_fast.InputError, match=word):
        interpolate(ImageGenerator(), str(tmp_path / "a.gif"), replace(WAY, **change))
    assert not os.listdir(tmp_path)


def test_ecgs_have_no_latents(generator, tmp_path):
    with pytest.raises(dsb_fast.InputError, match=r"cardiovascular\.ecg: has no latents"):
        interpolate(generator, str(tmp_path / "a.gif"), WAY)


@pytest.mark.parametrize("text", ["", "1,", "a", "1;2", "-1,2", "1,18446744073709551616", "1.5,2"])
def test_wrong_seeds(text):
    with pytest.raises(dsb_fast.InputError, match="--seeds"):
        parse_seeds(text)
    assert parse_seeds("1, 2,18446744073709551615") == (1, 2, 2**64 - 1)


def test_files_and_saved_frames(tmp_path):
    seen = []
    count = interpolate(
        ImageGenerator(), str(tmp_path / "a.webp"), WAY, save_frames=str(tmp_path / "f"),
        progress=lambda done, of: seen.append((done, of)),
    )  # fmt: skip
    assert count == 11 and seen == [(k, 11) for k in range(1, 12)]
    assert sorted(os.listdir(tmp_path)) == ["a.webp", "f"]
    assert set(os.listdir(tmp_path / "f")) == {f"{k}.png" for k in range(11)}
    expected = made(WAY)
    for k in range(11):
        with Image.open(tmp_path / f"f/{k}.png") as opened:
            assert (np.asarray(opened) == expected[k]).all()
            assert opened.text["Source"].endswith("seed 9")
    with Image.open(tmp_path / "a.webp") as opened:
        assert len(list(ImageSequence.Iterator(opened))) == 11


def test_what_is_there_is_replaced_only_when_asked(tmp_path):
    (tmp_path / "a.gif").write_bytes(b"mine")
    (tmp_path / "f").mkdir()
    (tmp_path / "f/0.png").write_bytes(b"mine")
    (tmp_path / "file").write_bytes(b"mine")
    for output, folder, word in (("a.gif", None, "already"), ("b.gif", "f", "not empty"), ("f", None, "no format"),
                                 ("none/a.gif", None, "its folder"), ("b.gif", "file", "not a folder")):  # fmt: skip
        with pytest.raises(dsb_fast.InputError, match=word):
            interpolate(ImageGenerator(), str(tmp_path / output), WAY, save_frames=folder and str(tmp_path / folder))
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "f/0.png").read_bytes() == b"mine"
    interpolate(ImageGenerator(), str(tmp_path / "a.gif"), WAY, save_frames=str(tmp_path / "f"), overwrite=True)
    assert (tmp_path / "a.gif").read_bytes() != b"mine" != (tmp_path / "f/0.png").read_bytes()


@pytest.mark.parametrize("suffix", ["gif", "webp", "mp4"])
def test_the_mark_goes_away_only_when_asked(tmp_path, suffix):
    for name, mark in (("with", True), ("without", False)):
        interpolate(
            ImageGenerator(), str(tmp_path / f"{name}.{suffix}"), WAY, synthetic_mark=mark,
            save_frames=str(tmp_path / name),
        )  # fmt: skip
        for path in (tmp_path / f"{name}.{suffix}", tmp_path / name / "3.png"):
            assert (b"trainedAlgorithmicMedia" in path.read_bytes()) is mark


def test_command(command, one_line, tmp_path, data):
    """A golden checkpoint: frame 5 of a path with seeds is the image of the second seed's latent."""
    model = data / "lucid/models/plain32"
    done = command(
        "interpolate", model, "-o", "a.gif", "--seeds", "3,8", "--seed", 3, "--steps", 5, "--save-frames", "f",
        check=0,
    )  # fmt: skip
    assert done.stdout == "a.gif: 6 frames\n"
    network = dsb_fast.load(model, device="cpu")
    noise = random.uniform(3, 0, 1, (32, 32), 1)
    with Image.open(tmp_path / "f/0.png") as opened:
        assert (np.asarray(opened) == network.sample(1, seed=3)[0]).all()
    image = network.run(z=random.normal(8, 0, 1, 48), noise=noise, truncation_psi=network.info["truncation"])["image"]
    with Image.open(tmp_path / "f/5.png") as opened:
        assert (np.asarray(opened) == np.floor(np.clip(image[0], 0, 1) * 255 + 0.5).transpose(1, 2, 0)).all()
    arguments = ["--space", "w", "--method", "linear", "--loop", "--points", 3, "--steps", 4, "--fps", 20,
                 "--truncation", 0.5, "--network", "plain", "--device", "cpu", "--quiet"]  # fmt: skip
    done = command("interpolate", model, "-o", "b.mp4", *arguments, check=0)
    assert done.stdout == done.stderr == "" and (tmp_path / "b.mp4").stat().st_size > 1000
    assert "already" in one_line(command("interpolate", model, "-o", "b.mp4", *arguments), 2)
    line = one_line(command("interpolate", model, "-o", "c.gif", "--seeds", "1,2", "--points", 3), 2)
    assert "--seeds, --points" in line
    assert "no latents" in one_line(command("interpolate", "cardiovascular.ecg", "-o", "c.gif"), 2)


def test_generate_command_with_images(command, one_line, tmp_path, data):
    model = data / "lucid/models/rgba_noconst32"
    command("generate", model, "-n", 5, "-o", "d", "--grid", 2, "--quiet", check=0)
    assert sorted(os.listdir(tmp_path / "d")) == ["0.png", "4.png", "dataset.json"]
    assert b"trainedAlgorithmicMedia" in (tmp_path / "d/0.png").read_bytes()
    command("generate", model, "-n", 2, "-o", "e", "--format", "webp", "--quality", 80, "--no-synthetic-mark", check=0)
    assert b"ynthetic" not in (tmp_path / "e/1.webp").read_bytes()
    assert "--checkpoint" in one_line(command("verify", "d", "--sample", 2), 2)
    assert "2 made again" in command("verify", "d", "--sample", 2, "--checkpoint", model, check=0).stdout
    line = one_line(command("generate", model, "-n", 2, "-o", "f", "--format", "jpg"), 2)
    assert "png and webp" in line and not (tmp_path / "f").exists()
    line = one_line(command("generate", model, "-n", 2, "-o", "f", "--format", "asc"), 2)
    assert "png, jpg, webp, npy, dummy" in line
