"""Mistakes that users make: each is answered in one line that names the thing and what would work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dsb_fast
from dsb_fast import _files, ops
from dsb_fast._bulk.failures import in_words
from dsb_fast._cli import main

pytestmark = pytest.mark.variant_independent
DATA = Path(__file__).parent / "data"
CHECKPOINT = str(DATA / "ecgen/bare_new_names.pt")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ecgs") / "d"
    assert main(["generate", "cardiovascular.ecg", "-n", "1", "-o", str(folder)]) == 0
    return folder


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("generate cardiovascular.ecg -n 1 -o", 2, "'': names no folder; give one"),
        ("generate cardiovascular.ecg -n 1 -o /proc/d", 1, "/proc/d: this folder can't be opened or made"),
        ("generate cardiovascular.ecg -n 1 -o d --checkpoint", 2, "checkpoint: '' is no path"),
        ("generate ~/model_1.pt -n 1 -o d", 2, "~ is for the shell"),
        ("verify DATA/0.asc", 2, "not a folder; give the one that dsb-fast generate wrote"),
        ("regenerate DATA/0.asc -o d", 2, "no manifest; name a dataset.json"),
        ("convert DATA -o d", 2, "a folder; name files in it, as in"),
        ("convert DATA/0.asc -o DATA/0.asc", 2, "not a folder; name one that is"),
        ("convert DATA/0.asc -o d --sampling-rate 0", 2, "sampling rate: 0.0 Hz; it must be"),
        ("convert DATA/0.asc -o d --sampling-rate nan", 2, "sampling rate: nan Hz; it must be"),
        ("convert DATA/0.asc -o d --format asc --time-column", 2, "--time-column: is for csv"),
        ("generate cardiovascular.ecg -n 1 -o d --grid 2", 2, "format asc: no option is called grid; it has none"),
        ("generate cardiovascular.ecg -n 1 -o d --format csv --quality 9", 2, "called quality; it has time_column"),
        ("plot DATA/dataset.json", 2, "not a format that is read here"),
        ("plot DATA -o x.png", 2, "a folder; name files in it, as in"),
        ("plot DATA/0.asc -o x.png --dpi 5", 2, "dpi: 5; it must be from 10 to 2400"),
        ("plot DATA/0.asc -o none/x.png", 2, "none/x.png: its folder is not there"),
        ("plot DATA/0.asc -o x.png --sampling-rate -500", 2, "sampling rate: -500.0 Hz; it must be"),
        ("export cardiovascular.ecg -o none/x.onnx", 1, "none/x.onnx: No such file or directory"),
        ("export cardiovascular.ecg -o DATA", 1, "/d: Is a directory"),
    ],
)
def test_commands(words, status, said, dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [word.replace("DATA", str(dataset)) for word in words.split()]
    given += [""] if words.endswith(("-o", "--checkpoint")) else []
    assert main(given) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_damaged_dataset_is_told_how_to_mend_it(tmp_path, capsys):
    make = ["generate", "cardiovascular.ecg", "-n", "2", "-o", str(tmp_path)]
    assert main(make) == 0
    (tmp_path / "1.asc").unlink()
    assert main(["verify", str(tmp_path)]) == 1
    assert "the same generate command makes again what is not whole" in capsys.readouterr().err
    assert main(make) == 0 and main(["verify", str(tmp_path)]) == 0
    (tmp_path / "dataset.json").write_text("lost")
    for command in (["verify", str(tmp_path)], make):
        assert main(command) == 2
        assert "generate --overwrite makes the dataset again" in capsys.readouterr().err
    assert main([*make, "--overwrite"]) == 0 and main(["verify", str(tmp_path)]) == 0


def test_an_ecg_too_short_for_its_sheet(tmp_path, capsys):
    source, picture = tmp_path / "one.csv", tmp_path / "one.png"
    source.write_text("I,II,V1,V2,V3,V4,V5,V6\n" + "1,2,3,4,5,6,7,8\n" * 3)
    assert main(["plot", str(source)]) == 2
    assert "layout 3x4: has 4 leads side by side; the ECG has 3 points" in capsys.readouterr().err
    assert main(["plot", str(source), "--layout", "6x2"]) == 0 and picture.exists()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"checkpoint": 1}, "checkpoint: 1 is no path"),
        ({"checkpoint": ""}, "checkpoint: '' is no path"),
        ({"card": "card.json"}, "card: 'card.json' is no dictionary"),
        ({"card": 1}, "card: 1 is no dictionary"),
        ({"card": {1: 2}}, "card: {1: 2} is no dictionary"),
    ],
)
def test_load(what, said):
    with pytest.raises(dsb_fast.InputError, match=said):
        dsb_fast.load("cardiovascular.ecg" if "checkpoint" in what else CHECKPOINT, **what)


@pytest.mark.parametrize("names", [1, None, [], "", "beat", ["beats", 2], "beats,beats"])
def test_measure_speaks_of_its_own_argument(generator, names):
    with pytest.raises(dsb_fast.InputError, match=r"^names: "):
        generator.measure(np.zeros((1, 8, 5000), np.int16), names)


@pytest.mark.parametrize("first", [2**63 - 2, 2**64 - 3])
def test_numbers_beyond_int64_are_exact(generator, first):
    found = [n for numbers, _ in generator.stream(3, start=first, batch_size=1, with_index=True) for n in numbers]
    assert [int(n) for n in found] == [first, first + 1, first + 2]


def test_an_error_is_one_line_whatever_was_given():
    with pytest.raises(dsb_fast.InputError) as refused:
        dsb_fast.random.normal(np.eye(3), 0, 1, 2)
    assert "\n" not in str(refused.value)


def test_labels_and_filters_of_wrong_types():
    generator = dsb_fast.load(DATA / "nvlabs/ada64_cond_resnet.pkl")
    for label in ([10**400, 0, 0], np.eye(3)):
        with pytest.raises(dsb_fast.InputError, match=r"^label: [^\n]*$"):
            generator.sample(1, label=label)
    with pytest.raises(dsb_fast.InputError, match="setup_filter makes one of it"):
        ops.upfirdn2d(np.zeros((1, 1, 4, 4), np.float32), [1, 2, 1])


@pytest.mark.parametrize("shape", [(0, 8, 5), (2, 8, 0), (8, 0), (0, 3, 8, 0)])
def test_leads_of_no_samples(shape):
    found = dsb_fast.leads.derive_12(np.zeros(shape, np.int16))
    assert found.shape == (*shape[:-2], 12, shape[-1]) and found.dtype == np.int16


def test_errors_name_the_file_and_not_its_temporary_name(tmp_path):
    path = tmp_path / "none/x"
    with pytest.raises(FileNotFoundError) as refused:
        _files.write_atomically(path, b"")
    assert refused.value.filename == str(path)
    denied = in_words(PermissionError(13, "Permission denied", "d/.dsb-tmp-dataset.json"), "d")
    assert denied == "d: can't be written to (Permission denied); name a folder of your own"


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_closed_stream_is_no_crash(tmp_path, closed):
    shell = ["sh", "-c", f'"$0" -m dsb_fast list {closed}>&-', sys.executable]
    done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == ""


def test_names_are_printed_in_any_encoding(dataset, process):
    folder = dataset.rename(dataset.parent / "ü")
    done = process("verify", folder, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}, check=0)
    assert "\\xfc" in done.stdout and done.stderr == ""
    folder.rename(dataset)
