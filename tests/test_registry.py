"""Model cards: what they must say, who may add them, and that reading them costs and fetches nothing."""

from __future__ import annotations

import importlib
import json
import logging
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references.make_checkpoint import state_dict
from tolerances import ECG_EQUAL_SHARE, ECG_MORE_THAN_ONE_APART

import dsb_fast
from dsb_fast import leads
from dsb_fast._models import CATEGORIES, REGISTERED, card, registry
from dsb_fast._models.ecg import PUBLISHED

pytestmark = pytest.mark.variant_independent

OWN = ["cardiovascular.ecg", "digestive.gitract"]
EEG = """
name = "nervous.eeg"
title = "Something else of eight leads"
loader = "pulse2pulse"
sampling_rate_hz = 250
licence = "CC-BY-4.0"
citation = "Nobody N. A paper that was never written."
source = "made by a test"
intended_use = "Tests."
limits = "Random numbers."
[inputs.noise]
shape = ["N", 8, 2500]
dtype = "float32"
[outputs.signal_uv]
shape = ["N", 8, 2500]
dtype = "int16"
[weights]
package = "eeg_models"
file = "weights/net.pt"
[weights.options]
leads = ["a", "b", "c", "d", "e", "f", "g", "h"]
length = 2500
scale = 0.5
unit = "mV"
"""


def parse(text: str) -> card.Card:
    return card.parse(text.encode(), "a.toml")


def test_own_cards_are_in_the_package_and_read():
    inside = files("dsb_fast._models") / "cards"
    assert sorted(entry.name for entry in inside.iterdir()) == [f"{name}.toml" for name in OWN]
    assert list(REGISTERED)[:2] == OWN == list(registry.cards())[:2]
    assert all(registry.find(name).name == name and name in REGISTERED for name in OWN)
    with pytest.raises(dsb_fast.ModelError, match=r"cardiovascular\.eeg"):
        registry.find("cardiovascular.eeg")


@pytest.mark.parametrize("name", OWN)
def test_own_cards_say_what_their_users_need(name):
    found = registry.find(name)
    assert found.licence == "MIT" and "Thambawita" in found.citation and "diagnosis" in found.limits
    assert "vlbthambawita/deepsynth-gitract" in found.source or "deepfake-ecg 1.1.2" in found.source
    near = found.near["fp32"]
    assert near == card.NEAR["fp32"] and near.equal_share == ECG_EQUAL_SHARE
    assert near.more_than_one_apart == ECG_MORE_THAN_ONE_APART
    assert json.loads(json.dumps(found.info()))["model"] == name


def test_the_ecg_card_is_what_the_model_says_of_itself(generator):
    found, info = registry.find(OWN[0]), generator.info
    assert (PUBLISHED.leads, PUBLISHED.length, PUBLISHED.assumed) == (leads.LEADS_8, 5000, ())
    said = {key: value for key, value in found.info().items() if key in info and key != "inputs"}
    assert {"leads", "length", "scale", "unit", "sampling_rate_hz", "licence", "citation", "weights_sha256"} < set(said)
    assert said == {key: info[key] for key in said}
    for key in ("shape", "dtype", "range"):
        assert found.info()["inputs"]["noise"][key] == info["inputs"]["noise"][key]
    assert {**info["output"], "meaning": "leads I, II, V1 to V6 by time"} == found.info()["outputs"]["signal_uv"]
    assert found.weights.size == Path(info["checkpoint"]).stat().st_size
    assert generator.model.options().leads == found.defaults["leads"]


def test_the_gitract_card_is_the_published_architecture():
    """As deepsynth-gitract 0.0.1 calls stylegan2-pytorch: 128 pixels, capacity 16, attention at layers 1 and 2."""
    found = registry.find(OWN[1])
    options = {"image_size": 128, "network_capacity": 16, "attn_layers": (1, 2), "lr_mlp": 0.1}
    assert found.weights.options == options and found.values()["truncation"] == 0.75
    assert found.inputs["z"].shape == ("N", 512) and found.outputs["image"].shape == ("N", 128, 128, 3)


@pytest.mark.parametrize("category", CATEGORIES)
def test_category_packages_say_what_they_hold(category):
    package = importlib.import_module(f"dsb_fast.{category}")
    assert package.models() == dsb_fast.models()[category] == [n for n in OWN if n.startswith(category + ".")]
    assert category in package.__doc__ and "models" in package.__all__
    assert all(hasattr(package, name) or importlib.import_module(f"{package.__name__}.{name}")
               for name in package.__all__)  # fmt: skip


def test_a_small_card():
    found = parse(EEG)
    assert (found.category, found.sampling_rate_hz, found.near, found.defaults) == ("nervous", 250.0, {}, {})
    assert found.values()["leads"] == tuple("abcdefgh") and found.values()["sampling_rate_hz"] == 250.0
    assert "weights_sha256" not in found.info() and found.info()["weights"]["package"] == "eeg_models"


URL = 'url = "https://example.org/net.pt"\nfile = "net.pt"'
PACKAGE = 'package = "eeg_models"\nfile = "weights/net.pt"'


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[weights]", "[weights]\ncolour = 3", ["weights.colour", "there is no such key", "sha256"]),
        ("name =", "colour = 3\nname =", ["colour", "loader"]), ("nervous.eeg", "eeg", ["name", "category.model"]),
        ("nervous.eeg", "brain.eeg", ["name", "nervous"]), ("nervous.eeg", "nervous.Eeg/..", ["name"]),
        ("pulse2pulse", "diffusion", ["loader", "stylegan2"]), ('licence = "CC-BY-4.0"', "", ["licence: is missing"]),
        ('licence = "CC-BY-4.0"', "licence = 4", ["licence: 4", "text"]), ('"Tests."', '""', ["intended_use", "text"]),
        ('"Tests."', '"\\u001b[31m"', ["intended_use"]), ("= 250", "= 0", ["sampling_rate_hz"]),
        ("= 250", "= nan", ["sampling_rate_hz"]), ("= 250", "= true", ["sampling_rate_hz"]),
        ("length = 2500", "length = 2500.0", ["weights.options.length", "whole"]),
        ("length = 2500", "image_size = 64", ["weights.options.image_size", "length"]),
        ('["N", 8, 2500]', '["N", 0]', ["inputs.noise.shape"]), ('["N", 8, 2500]', '"N"', ["inputs.noise.shape"]),
        ('dtype = "int16"', "", ["outputs.signal_uv.dtype: is missing"]),
        ('dtype = "int16"', 'dtype = "int16"\nrange = [1, 0]', ["outputs.signal_uv.range"]),
        ('dtype = "int16"', 'dtype = "int16"\nunits = "uV"', ["outputs.signal_uv.units", "unit"]),
        ("[outputs.signal_uv]", "[noutputs.signal_uv]", ["outputs: is missing"]),
        (PACKAGE, 'file = "net.pt"', ["a package or a url"]),
        (PACKAGE, PACKAGE + '\nurl = "https://example.org/net.pt"', ["a package or a url"]),
        (PACKAGE, URL.replace("https", "http"), ["weights.url", "https://"]),
        (PACKAGE, URL.replace("https", "file"), ["weights.url"]),
        (PACKAGE, URL.replace("example", "me@example"), ["weights.url"]),
        (PACKAGE, URL.replace('"net.pt"', '"../net.pt"'), ["weights.file"]),
        (PACKAGE, URL.replace('"net.pt"', '"a/net.pt"'), ["weights.file"]),
        ('"weights/net.pt"', '"weights/../../net.pt"', ["weights.file"]), ('"weights/net.pt"', '"/net.pt"', ["file"]),
        ('"eeg_models"', '"eeg.models"', ["weights.package"]), (PACKAGE, PACKAGE + '\nsha256 = "abc"', ["sha256"]),
        (PACKAGE, PACKAGE + "\nsize = -1", ["weights.size"]), ("[weights]", "[near.fp8]\n[weights]", ["near.fp8"]),
        ("[weights]", "[near.fp32]\n[weights]", ["near.fp32", "bounds nothing", "equal_share"]),
        ("[weights]", "[defaults]\nleads = 0\n[weights]", ["defaults.leads"]),
        ("[weights]", "[defaults]\ntruncation = 1\n[weights]", ["defaults.truncation", "leads"]),
        ("[weights]", "near = 3\n[weights]", ["outputs.signal_uv.near"]), ("name =", "name", ["not TOML"]),
        ("name =", "near = 3\nname =", ["near", "table"]), ("name =", "a = " + "[" * 3000 + "\nname =", ["not TOML"]),
        ("name =", "a = " + "9" * 9000 + "\nname =", ["not TOML"]),
        ("name =", "#" + " " * (1 << 20) + "\nname", ["bytes"]),
    ],
)  # fmt: skip
def test_wrong_cards_are_refused_in_one_line(old, new, words):
    assert old in EEG
    with pytest.raises(dsb_fast.InputError) as caught:
        parse(EEG.replace(old, new, 1))
    text = str(caught.value)
    assert text.startswith("a.toml: ") and "\n" not in text and all(word in text for word in words), text


@pytest.mark.parametrize(("key", "value"), [("network", "both"), ("noise", "loud"), ("truncation", "much")])
def test_defaults_of_image_models_are_checked(key, value):
    text = (files("dsb_fast._models") / "cards" / f"{OWN[1]}.toml").read_text()
    with pytest.raises(dsb_fast.InputError, match=rf"defaults\.{key}: '{value}'; it must be"):
        parse(re.sub(r"\[defaults\].*?\n\n", f'[defaults]\n{key} = "{value}"\n\n', text, flags=re.S))


@given(st.binary(max_size=60), st.integers(0, len(EEG)))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_a_card_or_an_input_error(noise, position):
    data = EEG.encode()
    try:
        found = card.parse(data[:position] + noise + data[position + len(noise) :], "a.toml")
    except dsb_fast.InputError as error:
        assert "\n" not in str(error)
    else:
        assert card.check_name(found.name) == ""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with an entry point, importable and with its metadata, as pip would install it."""
    place = tmp_path / "site"
    (place / "eeg_models/cards").mkdir(parents=True)
    (place / "eeg_models/weights").mkdir()
    (place / "eeg_models/__init__.py").write_text("")
    monkeypatch.syspath_prepend(place)

    def install(points: dict[str, str], code: str = "", cards: dict[str, str] | None = None):
        (place / "eeg_models/__init__.py").write_text(code)
        for name, text in (cards or {}).items():
            (place / "eeg_models/cards" / name).write_text(text)
        info = place / "eeg_models-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: eeg-models\nVersion: 1.0\n")
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        (info / "entry_points.txt").write_text("[dsb_fast.models]\n" + lines)
        for name in [name for name in sys.modules if name.partition(".")[0] == "eeg_models"]:
            monkeypatch.delitem(sys.modules, name)
        importlib.invalidate_caches()
        registry._added.cache_clear()
        return place / "eeg_models"

    yield install
    registry._added.cache_clear()


CODE = """
from importlib.resources import files
from pathlib import Path
from dsb_fast._models import card
folder = files(__name__) / "cards"
file = folder / "a.toml"
path = str(Path(__file__).parent / "cards")
def function(): return folder
def ready(): return card.parse(file.read_bytes(), "a.toml")
def broken(): raise RuntimeError("two\\nlines")
def leaving(): raise SystemExit(3)
number = 3
"""


@pytest.mark.parametrize("what", ["folder", "file", "path", "function", "ready"])
def test_what_an_entry_point_may_give(package, what, caplog):
    package({"mine": f"eeg_models:{what}"}, CODE, {"a.toml": EEG})
    assert dsb_fast.models()["nervous"] == ["nervous.eeg"] and registry.find("nervous.eeg").sampling_rate_hz == 250
    from dsb_fast import nervous

    assert nervous.models() == ["nervous.eeg"] and not caplog.records


def test_an_entry_point_may_name_a_package_of_cards(package, caplog):
    folder = package(
        {"mine": "eeg_models.cards"}, "", {"a.toml": EEG, "b.toml": EEG.replace("nervous.eeg", "nervous.b")}
    )
    (folder / "cards/__init__.py").write_text("")
    assert dsb_fast.models()["nervous"] == ["nervous.b", "nervous.eeg"] and not caplog.records


def test_broken_ones_are_reported_and_harm_no_other(package, caplog):
    points = {name: f"eeg_models:{name}" for name in ("broken", "leaving", "number", "missing", "file")}
    cards = {"a.toml": EEG, "b.toml": EEG + "colour = 3", "c.toml": EEG.replace("nervous.eeg", "cardiovascular.ecg")}
    package({**points, "nowhere": "no_such_package_here:cards", "other": "eeg_models:folder"}, CODE, cards)
    with caplog.at_level(logging.WARNING, "dsb_fast"):
        assert list(REGISTERED) == [*OWN, "nervous.eeg"]
        assert list(REGISTERED) == [*OWN, "nervous.eeg"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 8 and all("\n" not in line and "left out" in line for line in said)
    for word in (
        "two lines", "leaving = eeg_models:leaving: 3", "int; it must be", "no attribute 'missing'",
        "no_such_package_here",
        "weights.options.colour", "the name cardiovascular.ecg is taken", "the name nervous.eeg is taken",
    ):  # fmt: skip
        assert sum(word in line for line in said) == 1, (word, said)
    assert registry.find("cardiovascular.ecg").title == "8-lead 10-second ECG, Pulse2Pulse"


def test_own_models_ask_no_other_package(package):
    package({"mine": "eeg_models:broken"}, "raise SystemExit('imported')")
    assert "cardiovascular.ecg" in REGISTERED and registry.find("digestive.gitract")
    assert "no/such/file.pt" not in REGISTERED and "eeg_models" not in sys.modules


def test_an_added_model_makes_samples(package, tmp_path, monkeypatch):
    folder = package({"mine": "eeg_models.cards"}, "", {"__init__.py": "", "a.toml": EEG})
    torch.save(state_dict(6), folder / "weights/net.pt")
    generator = dsb_fast.load("nervous.eeg", device="cpu")
    info = generator.info
    assert (info["model"], info["licence"], info["assumed"]) == ("nervous.eeg", "CC-BY-4.0", [])
    assert (info["leads"], info["scale"], info["unit"]) == (list("abcdefgh"), 0.5, "mV")
    same = {"length": 2500, "scale": 0.5, "unit": "mV"}
    plain = dsb_fast.load(folder / "weights/net.pt", device="cpu", card=same)
    assert np.array_equal(generator.sample(2, seed=3), plain.sample(2, seed=3))
    (folder / "weights/net.pt").unlink()
    with pytest.raises(dsb_fast.ModelError, match=r"nervous\.eeg: its weights are not here; installing the package"):
        dsb_fast.load("nervous.eeg", device="cpu")


def test_the_example_of_the_docs_is_a_card_and_works(package):
    text = (Path(__file__).parent.parent / "docs/models.md").read_text()
    example = next(block for block in re.findall(r"```toml\n(.*?)```", text, re.S) if block.startswith("name"))
    assert parse(example).weights.file == "weights/limb.pt"
    example = example.replace('"lead_models"', '"eeg_models"')
    folder = package({"mine": "eeg_models.cards"}, "", {"limb.toml": example})
    torch.save(state_dict(6, 2), folder / "weights/limb.pt")
    generator = dsb_fast.load("cardiovascular.limb", device="cpu")
    assert generator.sample(1).shape == (1, 2, 2500) and generator.info["citation"].startswith("Your name")


def test_every_key_of_the_docs_table_is_known():
    text = (Path(__file__).parent.parent / "docs/models.md").read_text()
    for loader in card._OPTIONS:
        assert all(f"`{key}`" in text for key in (*card._OPTIONS[loader], *card._DEFAULTS[loader], loader))


def _run(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", [["list"], ["info", OWN[0]], ["info", OWN[1]], ["info", OWN[1], "--json"]])
def test_list_and_info_read_cards_only(tmp_path, command):
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import builtins, socket\nfrom dsb_fast._cli import main\n"
        "def no(*_): raise SystemExit('opened')\n"
        "socket.socket.connect = socket.getaddrinfo = no\n"
        "opened, real = [], builtins.open\n"
        "builtins.open = lambda path, *a, **k: opened.append(str(path)) or real(path, *a, **k)\n"
        f"assert main({command!r}) == 0\n"
        "print([name for name in ('onnxruntime', 'onnx', 'torch', 'deepfakeecg') if name in sys.modules],\n"
        "      [path for path in opened if path.endswith('.pt')])"
    )
    text = _run(code, tmp_path)
    assert text.splitlines()[-1] == "[] []" and ("digestive" in text or "cardiovascular" in text)


def test_info_prints_the_card_and_files_are_opened(command, tmp_path):
    found = json.loads(command("info", OWN[1], "--json", check=0).stdout)
    assert found["checkpoint"] is None and found["fetched_to"].endswith("weights/digestive.gitract/model_1000.pt")
    assert found.items() >= json.loads(json.dumps(registry.find(OWN[1]).info())).items()
    text = command("info", OWN[1], check=0).stdout
    assert "ICAPAI" in text and "checkpoints-v1.0/model_1000.pt" in text
    torch.save(state_dict(6), tmp_path / "net.pt")
    opened = json.loads(command("info", "net.pt", "--json", check=0).stdout)
    assert opened["licence"] == "unknown" and opened["backend"]
    assert json.loads(command("info", OWN[0], "--checkpoint", "net.pt", "--json", check=0).stdout)["backend"]
