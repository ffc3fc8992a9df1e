"""Existing files: read whatever program wrote them, converted, drawn on ECG paper."""

from __future__ import annotations

import json
import os
import re

import numpy as np
import pytest
from PIL import Image

import dsb_fast
from dsb_fast import _plot, _signal_file, leads


@pytest.fixture
def files(tmp_path, generator):
    """The same eight-lead ECG as asc, csv and npy, written by numpy."""
    sample = generator.sample(1, seed=4)[0]
    np.savetxt(tmp_path / "a.asc", sample.T, fmt="%i")
    np.savetxt(tmp_path / "b.csv", sample.T, fmt="%i", delimiter=",", header=",".join(leads.LEADS_8), comments="")
    np.save(tmp_path / "c.npy", np.stack([sample, sample]))
    return tmp_path, sample


def test_convert_makes_twelve_leads(command, files):
    folder, sample = files
    command("convert", "a.asc", "b.csv", "c.npy", "-o", "out", check=0)
    twelve = leads.derive_12(sample)
    assert (twelve == np.loadtxt(folder / "out/a.asc", dtype=int).T).all()
    assert (folder / "out/b.csv").read_text().startswith("I,II,III,aVR,aVL,aVF,V1")
    assert (np.load(folder / "out/c.npy") == twelve).all()
    command("convert", "out/a.asc", "-o", "back", "--leads", 8, check=0)
    assert (folder / "back/a.asc").read_bytes() == (folder / "a.asc").read_bytes()


def test_twelve_made_directly_equal_eight_converted(command, files):
    command("generate", "cardiovascular.ecg", "-n", 2, "-o", "eight", check=0)
    command("generate", "cardiovascular.ecg", "-n", 2, "-o", "twelve", "--leads", 12, check=0)
    command("convert", "eight/0.asc", "eight/1.asc", "-o", "converted", check=0)
    for name in ("0.asc", "1.asc"):
        assert (files[0] / "converted" / name).read_bytes() == (files[0] / "twelve" / name).read_bytes()


def test_convert_between_formats(command, files):
    folder, sample = files
    command("convert", "a.asc", "-o", "out", "--leads", 8, "--format", "csv", "--time-column", check=0)
    table = np.loadtxt(folder / "out/a.csv", delimiter=",", skiprows=1)
    assert (table[:, 0] == np.arange(5000) / 500).all() and (sample == table[:, 1:].T).all()
    command("convert", "c.npy", "-o", "out", "--leads", 8, "--format", "asc", check=0)
    assert sorted(os.listdir(folder / "out/c")) == ["0.asc", "1.asc"]


@pytest.mark.parametrize(
    ("text", "word"),
    [(b"1 2 3\n4 5 6\n", "leads"), (b"1 2\n3\n", "columns"), (b"", "rows"), (b"# a note\n", "convert"),
     (b"a b\n", "convert"),
     (b"1.5 2 3 4 5 6 7 8\n", "whole"), (b"99999 2 3 4 5 6 7 8\n", "whole"), (b"nan 2 3 4 5 6 7 8\n", "whole"),
     (b"30000 -30000 3 4 5 6 7 8\n", "fit")],
)  # fmt: skip
def test_broken_files_are_named(command, one_line, tmp_path, text, word):
    (tmp_path / "x.asc").write_bytes(text)
    line = one_line(command("convert", "x.asc", "-o", "out"), 2)
    assert "x.asc" in line and re.search(word, line), line
    assert not os.path.exists(tmp_path / "out/x.asc")


def test_convert_never_replaces_by_itself(command, one_line, files):
    folder, _ = files
    before = (folder / "a.asc").read_bytes()
    assert "itself" in one_line(command("convert", "a.asc", "-o", "."), 2)
    assert "itself" in one_line(command("convert", "a.asc", "-o", ".", "--overwrite"), 2)
    command("convert", "a.asc", "-o", "out", check=0)
    assert "already" in one_line(command("convert", "a.asc", "-o", "out"), 2)
    command("convert", "a.asc", "-o", "out", "--overwrite", check=0)
    (folder / "sub").mkdir()
    (folder / "sub/a.asc").write_bytes(before)
    assert "two folders" in one_line(command("convert", "a.asc", "sub/a.asc", "-o", "other"), 2)
    assert (folder / "a.asc").read_bytes() == before


def test_the_folder_of_several_ecgs_is_not_replaced_by_itself(command, one_line, files, tmp_path):
    command("convert", "c.npy", "-o", "out", "--format", "asc", check=0)
    before = (tmp_path / "out/c/0.asc").read_bytes()
    for format in ("asc", "wfdb"):
        assert "out/c" in one_line(command("convert", "c.npy", "-o", "out", "--leads", 8, "--format", format), 2)
    assert (tmp_path / "out/c/0.asc").read_bytes() == before and len(list((tmp_path / "out/c").iterdir())) == 2
    command("convert", "c.npy", "-o", "out", "--leads", 8, "--format", "asc", "--overwrite", check=0)
    assert (tmp_path / "out/c/0.asc").read_bytes() != before
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/c").symlink_to(tmp_path)
    assert "link" in one_line(command("convert", "c.npy", "-o", "linked", "--format", "asc", "--overwrite"), 2)
    assert not (tmp_path / "0.asc").exists()


def test_objects_in_npy_are_never_unpickled(command, one_line, data, tmp_path):
    one_line(command("plot", data / "unsafe/reduce_objects.npz"), 2)
    np.save(tmp_path / "x.npy", np.array([{}]), allow_pickle=True)
    assert "x.npy" in one_line(command("plot", "x.npy"), 2)


@pytest.mark.variant_independent
@pytest.mark.parametrize("layout", ["3x4", "6x2", "12x1"])
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_plot_has_true_size_and_says_what_it_is(command, files, layout, suffix):
    folder, _ = files
    command("generate", "cardiovascular.ecg", "-n", 1, "-o", "d", check=0)
    done = command("plot", "d/0.asc", "-o", f"p.{suffix}", "--layout", layout, check=0)
    assert done.stdout.strip() == f"p.{suffix}"
    raw = (folder / f"p.{suffix}").read_bytes()
    rows = {"3x4": 4, "6x2": 7, "12x1": 12}[layout]
    width_mm, height_mm = 280, 40 + 30 * rows
    if suffix == "png":
        with Image.open(folder / "p.png") as image:
            assert abs(image.width - width_mm / 25.4 * 150) <= 1 and abs(image.height - height_mm / 25.4 * 150) <= 1
            assert "SYNTHETIC" in image.text["Description"] and "Scientific Reports" in image.text["Description"]
    elif suffix == "svg":
        text = raw.decode()
        size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"|height="([\d.]+)pt"[^>]*width="([\d.]+)pt"', text)
        found = sorted(float(v) for v in size.groups() if v)
        assert np.allclose(found, sorted([width_mm / 25.4 * 72, height_mm / 25.4 * 72]), atol=0.1)
        assert "SYNTHETIC" in text
    else:
        assert raw.startswith(b"%PDF")


@pytest.mark.variant_independent
def test_plot_draws_the_values(files, monkeypatch):
    """The trace of lead II in the rhythm strip, read back from the figure: 25 mm/s and 10 mm/mV."""
    folder, sample = files
    drawn = {}
    monkeypatch.setattr(_plot, "_save", lambda figure, *_: drawn.setdefault("axes", figure.axes[0]))
    _plot.draw(_signal_file.read(str(folder / "a.asc")), "x.png")
    x, y = drawn["axes"].lines[-1].get_data()
    assert np.allclose(np.diff(x), 25 / 500) and np.allclose(x[-1] - x[0], 4999 / 500 * 25)
    assert np.allclose(y - y[0], (sample[1] - sample[1, 0]) / 1000 * 10)
    texts = [t.get_text() for t in drawn["axes"].texts]
    assert "25 mm/s   10 mm/mV   10 s" in texts and {"aVR", "V6", "III"} <= set(texts)


@pytest.mark.variant_independent
def test_plot_wrong_input(command, one_line, files):
    one_line(command("plot", "a.asc", "-o", "p.gif"), 2)
    one_line(command("plot", "c.npy", "--sample", 2, "-o", "p.png"), 2)
    one_line(command("plot", "a.asc", "--rhythm", "V9", "-o", "p.png"), 2)
    one_line(command("plot", "a.asc", "--speed", 0, "-o", "p.png"), 2)
    one_line(command("plot", "a.asc", "--layout", "9x9", "-o", "p.png"), 2)
    command("plot", "a.asc", check=0)
    assert (files[0] / "a.png").exists()
    assert "already" in one_line(command("plot", "a.asc"), 2)


@pytest.mark.variant_independent
def test_plot_without_matplotlib_names_the_extra(files, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(dsb_fast.MissingDependencyError, match=r"dsb-fast\[plot\]"):
        _plot.draw(_signal_file.read(str(files[0] / "a.asc")), "x.png")


def test_manifest_gives_the_rate(command, tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps({"sampling_rate_hz": 250, "synthetic": "yes"}))
    np.savetxt(tmp_path / "a.asc", np.zeros((2500, 8)), fmt="%i")
    recording = _signal_file.read(str(tmp_path / "a.asc"))
    assert recording.sampling_rate_hz == 250 and recording.about["synthetic"]
