"""The functions that stand in for deepsynthbody's and deepsynth_gitract's: names, sizes, pixels, refusals.

The facts about the originals are those of docs/compatibility.md, recorded by running them.
"""

from __future__ import annotations

import inspect
import io
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from references import gitract_checkpoint, images
from references.file_server import Served, serving

import dsb_fast
from dsb_fast import random
from dsb_fast._models import registry
from dsb_fast.digestive import _sheets, gitract

TIME = r"generated-\d\d-\d\d-\d{4}_\d\d-\d\d-\d\d"
WRITTEN = re.compile(rf"({TIME})(-.*\.(?:jpg|png)|\.gif)")
SEED = 2**63 + 11


@pytest.fixture(scope="module")
def models(data):
    """Laid out as stylegan2-pytorch's models directory: a folder for each name."""
    return data / "lucid/models"


def written(folder) -> dict[str, bytes]:
    """What was written, by the part of the name after the time of the call, which all have in common."""
    found = [WRITTEN.fullmatch(path.name) for path in folder.iterdir() if path.is_file()]
    assert all(found) and len({match[1] for match in found}) <= 1
    return {match[2]: (folder / match[0]).read_bytes() for match in found}


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def cells(sheet: np.ndarray, rows: int, size: int) -> np.ndarray:
    """The images of a sheet, which are 2 pixels apart and from the edge; the rest must be 0 (torchvision's layout)."""
    at = [2 + k * (size + 2) for k in range(rows)]
    found = np.stack([sheet[y : y + size, x : x + size] for y in at for x in at])
    assert sheet.shape[:2] == (rows * (size + 2) + 2,) * 2
    assert sheet.sum(dtype=np.int64) == found.sum(dtype=np.int64)
    return found


def as_pillow_saves(image: np.ndarray, **options) -> np.ndarray:
    """The pixels of the JPEG that Pillow makes if nobody asks for anything, which is what the originals do."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", **options)
    return np.asarray(Image.open(file))


def near(found: np.ndarray, expected: np.ndarray) -> None:
    """Grey levels of two float32 backends, by the contract."""
    apart = np.abs(found.astype(int) - expected)
    assert (apart == 0).mean() >= 0.995 and apart.max() <= 1


@pytest.mark.parametrize(
    ("function", "names"),
    [
        ("generate", "name result_dir checkpoint_dir num_img_per_tile num_of_outputs trunc_psi"),
        (
            "generate_interpolation",
            "name result_dir checkpoint_dir num_img_per_tile num_of_outputs num_of_steps_to_interpolate save_frames "
            "trunc_psi",
        ),
    ],
)
def test_signatures_begin_as_the_originals(function, names):
    parameters = inspect.signature(getattr(gitract, function)).parameters
    positional = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in positional] == names.split()
    assert [p.default for p in positional if p.default is not p.empty] == [0.75]
    assert [p.name for p in parameters.values() if p.kind is p.VAR_KEYWORD] == ["kwargs"]


def test_files_and_pixels_of_a_transparent_model(models, tmp_path, capsys):
    assert gitract.generate("rgba_noconst32", str(tmp_path), str(models), 2, 2, 0.6, seed=SEED, device="cpu") is None
    files = written(tmp_path / "rgba_noconst32")
    assert sorted(files) == ["-0-ema.png", "-0-mr.png", "-0.png", "-1-ema.png", "-1-mr.png", "-1.png"]
    assert capsys.readouterr() == ("", "")
    for n in range(2):
        for network, ending in (("plain", ""), ("ema", "-ema")):
            picture = opened(files[f"-{n}{ending}.png"])
            assert (picture.format, picture.mode, picture.size) == ("PNG", "RGBA", (70, 70))
            generator = dsb_fast.load(models / "rgba_noconst32", device="cpu", network=network)
            alone = [generator.sample(1, seed=SEED, start=4 * n + k, truncation=0.6)[0] for k in range(4)]
            assert (cells(np.asarray(picture), 2, 32) == alone).all()
            near(np.stack(alone[:1]), images.samples(models / "rgba_noconst32", SEED, [4 * n], 0.6, network=network))


def test_jpeg_is_what_pillow_makes_of_the_sheet(models, tmp_path):
    gitract.generate("plain32", tmp_path, models, 3, 1, seed=1, device="cpu")
    generator = dsb_fast.load(models / "plain32", device="cpu", network="ema")
    sheet = np.zeros((104, 104, 3), np.uint8)
    for k, image in enumerate(generator.sample(9, seed=1, truncation=0.75)):
        y, x = (2 + 34 * index for index in divmod(k, 3))
        sheet[y : y + 32, x : x + 32] = image
    picture = opened(written(tmp_path / "plain32")["-0-ema.jpg"])
    assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (104, 104))
    assert (np.asarray(picture) == as_pillow_saves(sheet)).all()
    assert b"trainedAlgorithmicMedia" in picture.info["xmp"]


def test_a_single_image_has_no_edge(models, tmp_path):
    gitract.generate("rgba_noconst32", tmp_path, models, 1, 2, 0.5, seed=3, device="cpu")
    files = written(tmp_path / "rgba_noconst32")
    assert {opened(data).size for data in files.values()} == {(32, 32)}
    generator = dsb_fast.load(models / "rgba_noconst32", device="cpu")
    for n in range(2):  # one latent mixed with itself is that latent
        z, noise = random.normal(3, n, 1, 40, stream=2), random.uniform(3, n, 1, (32, 32), stream=1)
        image = generator.run(z=z, noise=noise, truncation_psi=0.5)["image"]
        near(np.asarray(opened(files[f"-{n}-mr.png"]))[None], generator.model.outputs({"image": image}, None))


class Recorded(SimpleNamespace):
    """A generator with the package's own mean style, and in place of dsb_fast.random the package's own numbers."""

    batch_size = 3
    backend = SimpleNamespace(parallel=2)

    def mapping(self, z):
        return self.generator.mapping(z)

    def synthesis(self, w, noise):
        assert len(w) <= self.batch_size
        return self.generator.synthesis(w, noise)

    def run(self, z, noise, truncation_psi):
        w = self.mean_style + np.float32(truncation_psi) * (self.mapping(z) - self.mean_style)
        return {"image": self.synthesis(w, noise)}

    def normal(self, seed, start, count, shape, stream):
        self.asked.append((start, count, stream))
        return self.latents

    def uniform(self, seed, start, count, shape, stream):
        self.asked.append((start, count, stream))
        return self.noise


@pytest.fixture
def golden(models, data, monkeypatch):
    with np.load(data / "lucid/sheets.npz") as file:
        golden = SimpleNamespace(**file)
    generator = dsb_fast.load(models / "rgba_noconst32", device="cpu")
    golden.stand_in = Recorded(
        generator=generator, mean_style=golden.av_S[0], model=generator.model, info=generator.info, asked=[]
    )
    monkeypatch.setattr(_sheets, "random", golden.stand_in)
    return golden


def grey_levels(raw: np.ndarray) -> np.ndarray:
    return (np.clip(raw, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8).transpose(0, 2, 3, 1)


def test_mixing_sheet_is_the_packages(golden):
    golden.stand_in.latents, golden.stand_in.noise = golden.grid_z, golden.grid_noise[..., 0]
    found = _sheets.mixed(golden.stand_in, 0, 5, 2, float(golden.trunc_psi))
    near(found, grey_levels(golden.img_grid_raw))
    assert golden.stand_in.asked == [(10, 2, 2), (20, 4, 1)]


def test_interpolation_frame_is_the_packages(golden):
    golden.stand_in.noise = golden.noise[..., 0]
    golden.stand_in.latents = np.stack([golden.interp_low, golden.interp_high], axis=1).reshape(8, -1)
    frames = _sheets.interpolated(golden.stand_in, 0, 2, len(golden.interp_linspace), float(golden.trunc_psi))
    for index, frame in enumerate(frames):
        if index == golden.interp_image_index:
            near(frame, grey_levels(golden.img_interp_raw))
            break
    assert golden.stand_in.asked == [(0, 8, 2), (0, 4, 1)]


@pytest.mark.parametrize(("name", "ending", "size"), [("plain32", "jpg", 32), ("rgba_noconst32", "png", 32)])
def test_interpolation_files(models, tmp_path, capsys, name, ending, size):
    gitract.generate_interpolation(name, tmp_path, models, 2, 3, 11, True, seed=4, device="cpu")
    assert "num_of_outputs 3 has no effect" in capsys.readouterr().err
    (animation,) = (tmp_path / name).glob("*.gif")
    assert list(written(tmp_path / name)) == [".gif"]
    frames = sorted(animation.with_suffix("").iterdir(), key=lambda path: int(path.stem))
    assert [path.name for path in frames] == [f"{k}.{ending}" for k in range(11)]
    with Image.open(animation) as gif:
        assert (gif.format, gif.size, gif.n_frames, gif.info["loop"]) == ("GIF", (2 * size + 6,) * 2, 11, 0)
        for k, path in enumerate(frames):
            gif.seek(k)
            assert gif.info["duration"] == 80
            with Image.open(path) as frame:
                assert frame.mode == {"jpg": "RGB", "png": "RGBA"}[ending] and frame.size == gif.size
                apart = np.abs(np.asarray(gif.convert("RGB")).astype(int) - np.asarray(frame.convert("RGB")))
            assert apart.mean() < 12  # 256 colours and JPEG


def test_interpolation_sets_out_from_its_latents(models, tmp_path):
    """Frame 0 of 9 is latent 0 of stream 2, frame 1 (ratio 1) is latent 1; a transparent image is laid on white."""
    gitract.generate_interpolation("rgba_noconst32", tmp_path, models, 1, 1, 9, True, 0.4, seed=6, device="cpu")
    generator = dsb_fast.load(models / "rgba_noconst32", device="cpu")
    noise = random.uniform(6, 0, 1, (32, 32), stream=1)
    for k in range(2):
        image = generator.run(z=random.normal(6, k, 1, 40, stream=2), noise=noise, truncation_psi=0.4)["image"]
        levels = generator.model.outputs({"image": image}, None)[0].astype(float)
        alpha = levels[..., 3:] / 255
        (path,) = (tmp_path / "rgba_noconst32").glob(f"*/{k}.png")
        frame = np.asarray(Image.open(path)).astype(float)
        assert (frame[..., 3] == 255).all()
        assert np.abs(frame[..., :3] - (levels[..., :3] * alpha + 255 * (1 - alpha))).max() <= 2


def test_one_frame_and_no_frames_folder(models, tmp_path):
    gitract.generate_interpolation("plain32", tmp_path, models, 1, 0, 1, False, seed=4, device="cpu")
    (only,) = (tmp_path / "plain32").iterdir()
    with Image.open(only) as gif:
        assert (gif.n_frames, gif.size) == (1, (32, 32))


def test_seed_is_drawn_fresh_and_reported(models, tmp_path, capsys):
    gitract.generate("rgba_noconst32", tmp_path / "a", models, 1, 1, device="cpu")
    gitract.generate("rgba_noconst32", tmp_path / "b", models, 1, 1, device="cpu")
    said = [re.fullmatch(r"dsb_fast: seed (\d+) \(.*\)", line) for line in capsys.readouterr().err.splitlines()]
    assert len(said) == 2 and said[0][1] != said[1][1]
    a, b = (written(tmp_path / folder / "rgba_noconst32") for folder in "ab")
    assert not set(a.values()) & set(b.values())
    gitract.generate("rgba_noconst32", tmp_path / "c", models, 1, 1, seed=int(said[0][1]), device="cpu")
    assert written(tmp_path / "c/rgba_noconst32") == a


def test_no_folder_is_refused_and_files_are_replaced(models, tmp_path, monkeypatch):
    monkeypatch.setattr(gitract, "_stem", lambda: "generated-11-22-2026_22-13-26")
    folder = tmp_path / "plain32"
    folder.mkdir()
    (folder / "generated-11-22-2026_22-13-26-0.jpg").write_text("old")
    (folder / "mine.txt").write_text("mine")
    gitract.generate("plain32", tmp_path, models, 1, 1, seed=1, device="cpu")
    assert opened((folder / "generated-11-22-2026_22-13-26-0.jpg").read_bytes()).size == (32, 32)
    assert (folder / "mine.txt").read_text() == "mine" and len(list(folder.iterdir())) == 4
    gitract.generate("plain32", tmp_path / "none", models, 1, 0)
    assert not list((tmp_path / "none/plain32").iterdir())


@pytest.fixture
def checkpoints(tmp_path):
    """Two checkpoints without .config.json, as the published one has none; 10 is newer than 9."""
    for number in (9, 10):
        gitract_checkpoint.write(
            tmp_path / "models/gi", number, image_size=8, capacity=1, latent_dim=8, style_depth=2, seed=number
        )
    return tmp_path / "models"


def test_which_checkpoint_is_used(checkpoints, tmp_path, monkeypatch):
    def made(*arguments, **options):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        gitract.generate(*arguments, 1, 1, seed=1, device="cpu", **options)
        (folder,) = (tmp_path / "out").iterdir()
        return written(folder)["-0-ema.jpg"]

    newest = made("gi", tmp_path / "out", checkpoints)
    assert newest == made("gi", tmp_path / "out", checkpoints, load_from=10)
    assert newest != made("gi", tmp_path / "out", checkpoints, load_from=9)
    assert newest == made("other", tmp_path / "out", checkpoints / "gi")
    monkeypatch.chdir(checkpoints)
    assert newest == made("gi", tmp_path / "out", ".")


def test_the_published_checkpoint_is_fetched_to_where_the_originals_put_it(checkpoints, tmp_path, monkeypatch):
    content, put = (checkpoints / "gi/model_10.pt").read_bytes(), tmp_path / "new/any/model_1000.pt"
    card = registry.find(gitract.NAME)
    monkeypatch.setenv("DSB_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(dsb_fast.ModelError) as error:  # the suite forbids the network
        gitract.generate("any", tmp_path / "out", tmp_path / "new", 1, 1, seed=1)
    assert card.weights.url in str(error.value) and str(put) in str(error.value) and "\n" not in str(error.value)
    monkeypatch.delenv("DSB_OFFLINE")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    with serving(Served(content)) as (address, _):
        here = replace(card, weights=replace(card.weights, url=f"{address}/model_1000.pt"))
        monkeypatch.setattr(registry, "find", {gitract.NAME: here}.get)
        gitract.download_checkpoints(tmp_path / "new", "any")
        assert put.read_bytes() == content
    gitract.generate("any", tmp_path / "out", tmp_path / "new", 1, 1, seed=1, device="cpu")
    gitract.generate("gi", tmp_path / "out", checkpoints, 1, 1, seed=1, device="cpu")
    assert written(tmp_path / "out/any") == written(tmp_path / "out/gi")


def test_keywords_of_the_originals(checkpoints, tmp_path):
    everything = dict.fromkeys(gitract._WITHOUT_EFFECT, 1)
    said = {"image_size": 8, "network_capacity": 1, "attn_layers": [1, 2], "transparent": False, "no_const": False}
    gitract.generate("gi", tmp_path / "a", checkpoints, 1, 1, seed=1, device="cpu", **everything, **said)
    gitract.generate("gi", tmp_path / "b", checkpoints, 1, 1, seed=1, device="cpu", save_frames=True, lr_mlp=0.2)
    a, b = (written(tmp_path / folder / "gi")["-0.jpg"] for folder in "ab")
    assert a != b  # lr_mlp shapes the styles
    with pytest.raises(dsb_fast.CheckpointError, match="image_size"):
        gitract.generate("gi", tmp_path, checkpoints, 1, 1, device="cpu", image_size=128)
    for wrong in ({"colour": 1}, {"generate": True}, {"results_dir": "x"}):
        with pytest.raises(TypeError, match=f"{next(iter(wrong))}"):
            gitract.generate("gi", tmp_path, checkpoints, 1, 1, **wrong)
    with pytest.raises(TypeError, match="interpolation_num_steps"):
        gitract.generate_interpolation("gi", tmp_path, checkpoints, 1, 1, 2, True, interpolation_num_steps=3)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"num_img_per_tile": 0}, "num_img_per_tile: 0"),
        ({"num_img_per_tile": 1.5}, "num_img_per_tile: 1.5"),
        ({"num_of_outputs": "3"}, "num_of_outputs: '3'"),
        ({"trunc_psi": float("nan")}, "trunc_psi: nan"),
        ({"trunc_psi": "half"}, "trunc_psi: 'half'"),
        ({"seed": -1}, "seed: -1"),
        ({"name": 3}, "name: 3"),
        ({"load_from": 11}, "model_11.pt: no such file"),
        ({"load_from": "last"}, "load_from: 'last'"),
        ({"device": "abacus"}, "abacus"),
        ({"num_of_steps_to_interpolate": 0}, "num_of_steps_to_interpolate: 0"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(checkpoints, tmp_path, changed, what):
    given = {"name": "gi", "result_dir": tmp_path / "out", "checkpoint_dir": checkpoints, "num_img_per_tile": 1}
    given |= {"num_of_outputs": 1, "trunc_psi": 0.75, "seed": 1, "device": "cpu"}
    both = [(gitract.generate_interpolation, {"num_of_steps_to_interpolate": 1, "save_frames": False})]
    both += [] if "num_of_steps_to_interpolate" in changed else [(gitract.generate, {})]
    for function, more in both:
        with pytest.raises(dsb_fast.InputError) as error:
            function(**{**given, **more, **changed})
        assert what in str(error.value) and "\n" not in str(error.value)
    assert not list(tmp_path.glob("out/*/*"))
